//! People, keys, sign-ins and tokens from outside: what they open, and how it ends.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use serde_json::{Value, json};

use crate::app::App;
use crate::lab::{Answer, Lab};

const PASSWORD: &str = "correct horse battery";

/// A person with a password; their id.
async fn person(lab: &Lab, name: &str, role: &str) -> Value {
    lab.admin("user.create", json!({"name": name, "role": role, "password": PASSWORD})).await["id"].clone()
}

async fn sign_in(lab: &Lab, name: &str, password: &str) -> Answer {
    lab.ask(Method::POST, "/v1/session", &[], json!({"user": name, "password": password})).await
}

/// `name=value` of the cookie that was set.
fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let set = answer.headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn signed_in(lab: &Lab, name: &str, role: &str) -> (Value, String) {
    let id = person(lab, name, role).await;
    (id, cookie(&sign_in(lab, name, PASSWORD).await))
}

/// A WebSocket with these headers.
async fn page(lab: &Lab, headers: &[(&'static str, &str)]) -> Result<App, u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    match lab.dial(APP_PATH, APP_SUBPROTOCOL, map).await {
        Ok(dialled) => Ok(App::over(dialled.socket)),
        Err(inkwire_transport::DialError::Http { status, .. }) => Err(status.as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn origin(lab: &Lab) -> String {
    format!("https://{}", lab.url.authority())
}

#[tokio::test]
async fn a_password_opens_a_session_that_reads_changes_and_ends() {
    let lab = Lab::start().await;
    let answer = {
        person(&lab, "ann", "owner").await;
        sign_in(&lab, "ann", PASSWORD).await
    };
    let set = answer.headers["set-cookie"].to_str().unwrap();
    for part in ["__Host-inkwire=il_", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!(answer.json()["me"]["who"]["name"], "ann");
    assert_eq!(answer.json()["me"]["scope"], "admin");
    let (cookie, origin) = (cookie(&answer), origin(&lab));
    let get = async |path| lab.ask(Method::GET, path, &[("cookie", &cookie)], Value::Null).await;
    assert_eq!(get("/v1/me").await.json()["who"]["role"], "owner");
    assert_eq!(get("/v1/session").await.json()["me"], get("/v1/me").await.json());

    // CSRF: what changes something must come from a page of ours, and say so.
    let body = json!({"name": "till", "scope": "submit"});
    let post =
        async |headers: &[(&str, &str)]| lab.ask(Method::POST, "/v1/keys", headers, body.clone()).await;
    assert_eq!(post(&[("cookie", &cookie)]).await.status, 403);
    assert_eq!(post(&[("cookie", &cookie), ("origin", "https://evil.example")]).await.status, 403);
    assert_eq!(post(&[("cookie", &cookie), ("origin", "null")]).await.status, 403);
    assert_eq!(post(&[("cookie", &cookie), ("origin", &origin)]).await.status, 200);

    // A WebSocket by the cookie; it ends within a second of the sign-out.
    let mut app = page(&lab, &[("cookie", &cookie), ("origin", &origin)]).await.unwrap();
    assert_eq!(app.call("me", json!({})).await.unwrap()["who"]["type"], "user");
    let since = Instant::now();
    let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let out = lab.ask(Method::DELETE, "/v1/session", &headers, Value::Null).await;
    assert_eq!(out.status, 200);
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert!(since.elapsed() < Duration::from_secs(1));
    assert_eq!(get("/v1/me").await.status, 401);
    assert_eq!(get("/v1/session").await.status, 401);
}

#[tokio::test]
async fn pages_open_websockets_only_from_origins_that_may() {
    let lab = Lab::start_with(|raw| raw.api.allowed_origins = vec!["https://shop.example".into()]).await;
    let (_, cookie) = signed_in(&lab, "ann", "viewer").await;
    let key = format!("Bearer {}", lab.key("read").await);
    let own = origin(&lab);
    let evil = "https://evil.example";
    assert_eq!(page(&lab, &[("cookie", &cookie), ("origin", evil)]).await.err(), Some(403));
    assert_eq!(page(&lab, &[("cookie", &cookie)]).await.err(), Some(403));
    assert_eq!(page(&lab, &[("authorization", &key), ("origin", evil)]).await.err(), Some(403));
    assert_eq!(page(&lab, &[("origin", evil)]).await.err(), Some(403));
    assert!(page(&lab, &[("cookie", &cookie), ("origin", &own)]).await.is_ok());
    assert!(page(&lab, &[("authorization", &key), ("origin", "https://shop.example")]).await.is_ok());
    assert!(page(&lab, &[("authorization", &key)]).await.is_ok());

    // CORS: only that page's scripts may read an answer, and never with a cookie.
    let asked = async |origin| {
        let headers = [("authorization", key.as_str()), ("origin", origin)];
        lab.ask(Method::GET, "/v1/me", &headers, Value::Null).await
    };
    let answer = asked("https://shop.example").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://shop.example");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    assert!(!asked(evil).await.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn who_is_disabled_demoted_or_removed_loses_it_at_once() {
    let lab = Lab::start().await;
    let owner = lab.key("admin").await;
    let (id, cookie) = signed_in(&lab, "bob", "operator").await;
    let path = format!("/v1/users/{}", id.as_str().unwrap());
    let own = origin(&lab);
    let mut app = page(&lab, &[("cookie", &cookie), ("origin", &own)]).await.unwrap();
    let key = lab.ask(Method::POST, "/v1/sign-in", &[], json!({"user": "bob", "password": PASSWORD})).await;
    let key = key.json()["key"].as_str().unwrap().to_owned();
    let mut by_key = App::connect(&lab, &key).await;
    app.call("enrolments.list", json!({})).await.unwrap();

    let patch = async |body| lab.rest(Method::PATCH, &path, Some(&owner), body).await;
    assert_eq!(patch(json!({"role": "viewer"})).await.json()["role"], "viewer");
    // The news comes by a channel, the next request by a socket: it is there within a second.
    let since = Instant::now();
    for app in [&mut app, &mut by_key] {
        while app.call("enrolments.list", json!({})).await.is_ok() {
            assert!(since.elapsed() < Duration::from_secs(1));
        }
        assert_eq!(app.call("me", json!({})).await.unwrap()["scope"], "read");
    }

    let since = Instant::now();
    assert_eq!(patch(json!({"disabled": true})).await.status, 200);
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert_eq!(by_key.closed().await.code(), CloseCode::Revoked);
    assert!(since.elapsed() < Duration::from_secs(1));
    assert_eq!(lab.get("/v1/me", &key).await.status, 401);
    assert_eq!(sign_in(&lab, "bob", PASSWORD).await.status, 401);
    patch(json!({"disabled": false})).await;
    assert_eq!(lab.get("/v1/me", &key).await.status, 200);
    assert_eq!(lab.rest(Method::DELETE, &path, Some(&owner), Value::Null).await.status, 200);
    assert_eq!(lab.get("/v1/me", &key).await.status, 401);
    assert_eq!(lab.rest(Method::DELETE, &path, Some(&owner), Value::Null).await.status, 404);
}

#[tokio::test]
async fn the_last_owner_stays() {
    let lab = Lab::start().await;
    let key = lab.key("admin").await;
    let owner = lab.get("/v1/users", &key).await.json()["users"][0].clone();
    let path = format!("/v1/users/{}", owner["id"].as_str().unwrap());
    for body in [json!({"role": "operator"}), json!({"disabled": true})] {
        assert_eq!(lab.rest(Method::PATCH, &path, Some(&key), body).await.status, 409);
    }
    assert_eq!(lab.rest(Method::DELETE, &path, Some(&key), Value::Null).await.status, 409);
    person(&lab, "ann", "owner").await;
    assert_eq!(lab.rest(Method::DELETE, &path, Some(&key), Value::Null).await.status, 200);
    let again = lab.try_admin("user.update", json!({"user": "ann", "role": "viewer"})).await.unwrap_err();
    assert_eq!(again["status"], 409);
}

#[tokio::test]
async fn a_new_password_signs_out_everybody_but_who_set_it() {
    let lab = Lab::start().await;
    let (_, mine) = signed_in(&lab, "ann", "viewer").await;
    let other = cookie(&sign_in(&lab, "ann", PASSWORD).await);
    let own = origin(&lab);
    let set = async |current| {
        let headers = [("cookie", mine.as_str()), ("origin", own.as_str())];
        let body = json!({"current": current, "password": "another horse battery"});
        lab.ask(Method::POST, "/v1/session/password", &headers, body).await.status.as_u16()
    };
    let status = async |cookie: &str| {
        lab.ask(Method::GET, "/v1/me", &[("cookie", cookie)], Value::Null).await.status.as_u16()
    };
    assert_eq!(set("wrong").await, 403);
    assert_eq!(set(PASSWORD).await, 200);
    assert_eq!((status(&mine).await, status(&other).await), (200, 401));
    assert_eq!(sign_in(&lab, "ann", PASSWORD).await.status, 401);
    assert_eq!(sign_in(&lab, "ann", "another horse battery").await.status, 200);
}

#[tokio::test]
async fn a_link_opens_one_session() {
    let lab = Lab::start().await;
    let link = lab.sign_in().unwrap();
    let token = link.split_once("token=").unwrap().1.split('#').next().unwrap();
    let begin = async || lab.ask(Method::POST, "/v1/session", &[], json!({"link": token})).await;
    assert_eq!(begin().await.json()["me"]["who"]["role"], "owner");
    assert_eq!(begin().await.status, 401);
}

#[tokio::test]
async fn keys_are_shown_once_give_no_more_than_their_maker_has_and_end() {
    let lab = Lab::start().await;
    let admin = lab.key("admin").await;
    let made = lab.rest(
        Method::POST,
        "/v1/keys",
        Some(&admin),
        json!({"name": "k", "scope": "read", "expires_in_s": 1}),
    );
    let made = made.await.json();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(lab.get("/v1/me", secret).await.status, 200);
    let mut app = App::connect(&lab, secret).await;
    let listed = lab.get("/v1/keys?limit=1", &admin).await;
    assert!(!listed.text.contains(secret) && listed.text.contains("next"), "{}", listed.text);
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert_eq!(lab.get("/v1/me", secret).await.status, 401);
    let audit = lab.get("/v1/audit?action=keys.", &admin).await.json();
    assert_eq!(audit["entries"][0]["action"], "keys.create");
    assert_eq!(audit["entries"][0]["address"], "127.0.0.1");
    assert_eq!(audit["entries"][1]["who"], "admin");
    assert!(!audit.to_string().contains("ik_"));
}

#[tokio::test]
async fn an_access_token_does_no_more_than_it_says_and_dies_with_its_maker() {
    let lab = Lab::start().await;
    let made = lab.admin("key.create", json!({"name": "shop", "scope": "submit"})).await;
    let key = made["key"].as_str().unwrap();
    let token = async |body| lab.rest(Method::POST, "/v1/tokens", Some(key), body).await;
    let read = token(json!({"scope": "read"})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(lab.get("/v1/me", &read).await.json()["scope"], "read");
    assert_eq!(token(json!({"scope": "admin"})).await.status, 403);
    assert_eq!(token(json!({"expires_in_s": 901})).await.status, 400);
    let again = lab.rest(Method::POST, "/v1/tokens", Some(&read), json!({})).await;
    assert_eq!(again.status, 403, "a token makes no tokens");

    // Anybody can check it by the published keys.
    let jwks = lab.ask(Method::GET, "/.well-known/jwks.json", &[], Value::Null).await.json();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["inkwire-app"]);
    let checking = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&read, &checking, &validation).unwrap().claims;
    assert_eq!((&claims["scope"], &claims["iss"]), (&json!("read"), &json!(lab.url.origin())));

    let mut app = App::connect(&lab, &read).await;
    let since = Instant::now();
    lab.admin("key.revoke", json!({"key": made["id"]})).await;
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert!(since.elapsed() < Duration::from_secs(1));
    assert_eq!(lab.get("/v1/me", &read).await.status, 401);
}

#[tokio::test]
async fn a_newer_token_keeps_a_live_connection_alive() {
    let lab = Lab::start().await;
    let key = lab.key("submit").await;
    let token = async |expires_in_s: u64| {
        let body = json!({"scope": "read", "expires_in_s": expires_in_s});
        let made = lab.rest(Method::POST, "/v1/tokens", Some(&key), body).await;
        made.json()["token"].as_str().unwrap().to_owned()
    };
    let mut app = App::anonymous(&lab).await;
    let me = app.call("authenticate", json!({"token": token(1).await})).await.unwrap();
    let expires_ms = me["expires_ms"].as_u64().unwrap();
    let newer = token(600).await;
    let me = app.call("authenticate", json!({"token": newer})).await.unwrap();
    assert!(me["expires_ms"].as_u64().unwrap() > expires_ms);

    // Another account's token changes nothing.
    lab.admin("account.create", json!({"name": "other"})).await;
    let foreign = lab.admin("key.create", json!({"account": "other", "name": "x", "scope": "admin"})).await;
    let refused = app.call("authenticate", json!({"token": foreign["key"]})).await.unwrap_err();
    assert_eq!(refused["status"], 403);
    assert_eq!(app.call("me", json!({})).await.unwrap()["scope"], "read");
    // A wrong one neither.
    assert_eq!(app.call("authenticate", json!({"token": "x.y.z"})).await.unwrap_err()["status"], 401);
    app.call("me", json!({})).await.unwrap();
}

#[tokio::test]
async fn an_expired_token_may_be_replaced_for_a_while_then_its_connection_ends() {
    let lab = Lab::start_with(|raw| raw.api.token_grace_s = Some(2)).await;
    let key = lab.key("submit").await;
    let token = async |expires_in_s: u64| {
        let body = json!({"scope": "read", "expires_in_s": expires_in_s});
        lab.rest(Method::POST, "/v1/tokens", Some(&key), body).await.json()["token"].clone()
    };
    let signed_in = async |token: Value| {
        let mut app = App::anonymous(&lab).await;
        let me = app.call("authenticate", json!({ "token": token })).await.unwrap();
        (app, me["expires_ms"].as_u64().unwrap())
    };
    let until = async |at_ms: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        tokio::time::sleep(Duration::from_millis(at_ms).saturating_sub(now)).await;
    };
    let (mut left, over_ms) = signed_in(token(1).await).await;
    let (mut renewed, _) = signed_in(token(1).await).await;
    let (mut dead, _) = signed_in(token(1).await).await;
    let expired = token(1).await;
    until(over_ms + 1000).await;

    // Within the grace it goes on, and a newer token takes the place; an expired one does not, and opens nothing.
    left.call("me", json!({})).await.unwrap();
    let me = renewed.call("authenticate", json!({"token": token(600).await})).await.unwrap();
    assert!(me["expires_ms"].as_u64().unwrap() > over_ms + 10_000);
    assert_eq!(dead.call("authenticate", json!({ "token": expired })).await.unwrap_err()["status"], 401);
    let mut late = App::anonymous(&lab).await;
    assert_eq!(late.call("authenticate", json!({ "token": expired })).await.unwrap_err()["status"], 401);
    assert_eq!(late.closed().await.code(), CloseCode::Unauthenticated);
    assert_eq!(lab.get("/v1/me", expired.as_str().unwrap()).await.status, 401);

    let since = Instant::now();
    for app in [&mut left, &mut dead] {
        let closed = app.closed().await;
        assert_eq!((closed.code(), closed.code().code()), (CloseCode::Expired, 4006), "{closed}");
    }
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    until(over_ms + 3500).await;
    assert_eq!(renewed.call("me", json!({})).await.unwrap()["scope"], "read", "the renewed one lives on");

    // A token has no grace beyond what it was made by.
    let short = json!({"name": "short", "scope": "read", "expires_in_s": 2});
    let short = lab.rest(Method::POST, "/v1/keys", Some(&lab.key("admin").await), short).await.json();
    let secret = short["secret"].as_str().unwrap();
    let made = lab.rest(Method::POST, "/v1/tokens", Some(secret), json!({"expires_in_s": 600})).await;
    let (mut app, over_ms) = signed_in(made.json()["token"].clone()).await;
    assert_eq!(json!(over_ms), short["key"]["expires_ms"]);
    let since = Instant::now();
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_ticket_opens_one_connection() {
    let lab = Lab::start().await;
    let made = lab.admin("key.create", json!({"name": "shop", "scope": "submit"})).await;
    let key = made["key"].as_str().unwrap();
    let ticket = lab.rest(Method::POST, "/v1/tickets", Some(key), json!({"scope": "read"})).await.json();
    let ticket = ticket["token"].clone();
    let mut app = App::anonymous(&lab).await;
    let me = app.call("authenticate", json!({"token": ticket})).await.unwrap();
    assert_eq!((&me["scope"], &me["who"]["name"]), (&json!("read"), &json!("shop")));
    let mut thief = App::anonymous(&lab).await;
    assert_eq!(thief.call("authenticate", json!({"token": ticket})).await.unwrap_err()["status"], 401);
    assert_eq!(thief.closed().await.code(), CloseCode::Unauthenticated);
    assert_eq!(lab.get("/v1/me", ticket.as_str().unwrap()).await.status, 401, "a ticket is no bearer");
    lab.admin("key.revoke", json!({"key": made["id"]})).await;
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
}

#[tokio::test]
async fn the_console_port_is_this_machines_alone() {
    let lab = Lab::start_with(|raw| raw.console_listen = Some("127.0.0.1:0".into())).await;
    person(&lab, "ann", "viewer").await;
    let at = lab.console().unwrap();
    let ask = async |request: String| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        let reading = tokio::time::timeout(crate::lab::LONG, stream.read_to_end(&mut text));
        reading.await.unwrap().unwrap();
        String::from_utf8(text).unwrap()
    };
    let get = |host: &str, path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n")
    };
    let own = at.to_string();
    assert!(ask(get(&own, "/healthz", "")).await.starts_with("HTTP/1.1 200"));
    // A name of the internet that was made to point here.
    assert!(ask(get("evil.example", "/healthz", "")).await.starts_with("HTTP/1.1 400"));
    assert!(ask(get(&own, "/v1/agent", "")).await.starts_with("HTTP/1.1 404"));
    let body = json!({"user": "ann", "password": PASSWORD}).to_string();
    let length = body.len();
    let answer = ask(format!(
        "POST /v1/session HTTP/1.1\r\nhost: {own}\r\norigin: http://{own}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    ));
    let answer = answer.await;
    let cookie = answer.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("inkwire-console=il_"), "{answer}");
    let me = ask(get(&own, "/v1/me", &format!("cookie: {cookie}\r\n"))).await;
    assert!(me.contains("\"ann\""), "{me}");
    let upgrade = format!(
        "origin: http://{own}\r\ncookie: {cookie}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: {APP_SUBPROTOCOL}\r\n"
    );
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let request = format!("GET {APP_PATH} HTTP/1.1\r\nhost: {own}\r\n{upgrade}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
}
