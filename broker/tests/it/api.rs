//! The two doors of the API, without jobs: who may what, and what errors look like.

use http::Method;
use inkwire_protocol::close::CloseCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::Lab;

#[tokio::test]
async fn both_doors_answer_alike() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let key = lab.key("read").await;
    let mut app = App::connect(&lab, &key).await;
    let _link = device.connect(&lab).await;
    for (method, params, path) in [
        ("me", json!({}), "/v1/me".to_owned()),
        ("agents.list", json!({}), "/v1/agents".to_owned()),
        ("agents.get", json!({"agent": device.id}), format!("/v1/agents/{}", device.id)),
        ("printers.list", json!({}), "/v1/printers".to_owned()),
        (
            "jobs.list",
            json!({"states": ["pending", "held"], "limit": 5}),
            "/v1/jobs?states=pending,held&limit=5".to_owned(),
        ),
    ] {
        let rest = lab.get(&path, &key).await;
        assert_eq!(rest.status, 200, "{path}: {}", rest.text);
        assert_eq!(app.call(method, params).await.unwrap(), rest.json(), "{method}");
    }
    for (method, params, path) in [
        ("agents.get", json!({"agent": "x"}), "/v1/agents/x"),
        (
            "agents.get",
            json!({"agent": "01890a5d-ac96-774b-bcce-b302099a8057"}),
            "/v1/agents/01890a5d-ac96-774b-bcce-b302099a8057",
        ),
        ("jobs.list", json!({"colour": "red"}), "/v1/jobs?colour=red"),
        ("jobs.list", json!({"limit": 0}), "/v1/jobs?limit=0"),
    ] {
        let rest = lab.get(path, &key).await;
        assert_eq!(rest.headers["content-type"], "application/problem+json");
        let problem = app.call(method, params).await.unwrap_err();
        assert_eq!(
            (&problem, problem["status"].as_u64().unwrap() as u16),
            (&rest.json(), rest.status.as_u16())
        );
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_key() {
    let lab = Lab::start().await;
    for (key, path) in [(None, "/v1/me"), (Some("ik_x"), "/v1/me"), (Some("nonsense"), "/v1/jobs")] {
        let answer = lab.rest(Method::GET, path, key, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.headers["www-authenticate"].is_empty()), (401, false));
    }
    let mut late = App::anonymous(&lab).await;
    let problem = late.call("me", json!({})).await.unwrap_err();
    assert_eq!(problem["type"], "urn:inkwire:problem:unauthenticated");
    assert_eq!(late.closed().await.code(), CloseCode::Unauthenticated);
    let mut wrong = App::anonymous(&lab).await;
    assert_eq!(wrong.call("authenticate", json!({"token": "ik_x"})).await.unwrap_err()["status"], 401);
    assert_eq!(wrong.closed().await.code(), CloseCode::Unauthenticated);
    let mut right = App::anonymous(&lab).await;
    let me = right.call("authenticate", json!({"token": lab.key("submit").await})).await.unwrap();
    assert_eq!((&me["scope"], &me["account_name"]), (&json!("submit"), &json!("default")));
    assert_eq!(right.call("me", json!({})).await.unwrap(), me);
}

#[tokio::test]
async fn mistakes_are_named() {
    let lab = Lab::start().await;
    let mut app = App::connect(&lab, &lab.key("read").await).await;
    assert_eq!(app.call("jobs.dance", json!({})).await.unwrap_err()["status"], 404);
    assert_eq!(app.call("me", json!({"x": 1})).await.unwrap_err()["pointer"], "/x");
    let job = json!({"job": "01890a5d-ac96-774b-bcce-b302099a8057"});
    assert_eq!(app.call("jobs.cancel", job).await.unwrap_err()["status"], 403);
    for (text, code) in [("{", -32700), ("[]", -32600), ("{}", -32600)] {
        app.raw(text);
        assert_eq!(app.message().await.unwrap()["error"]["code"], code, "{text}");
    }
    let answer = lab.rest(Method::GET, "/v1/nothing", None, Value::Null).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["type"]),
        (404, &json!("urn:inkwire:problem:unknown-method"))
    );
    assert_eq!(lab.rest(Method::DELETE, "/v1/jobs", None, Value::Null).await.status, 405);
    let large = json!({"title": "x".repeat(400_000)});
    assert_eq!(lab.rest(Method::POST, "/v1/jobs", Some("ik_x"), large).await.status, 413);
    let huge = "x".repeat(300 * 1024);
    app.raw(&huge);
    assert_eq!(app.closed().await.code(), CloseCode::TooLarge);
}

#[tokio::test]
async fn a_revoked_key_loses_its_live_connections() {
    let lab = Lab::start().await;
    let made = lab.admin("key.create", json!({"name": "till", "scope": "submit"})).await;
    let key = made["key"].as_str().unwrap();
    let mut app = App::connect(&lab, key).await;
    let mut other = App::connect(&lab, &lab.key("read").await).await;
    lab.admin("key.revoke", json!({"key": made["id"]})).await;
    assert_eq!(app.closed().await.code(), CloseCode::Revoked);
    assert_eq!(lab.get("/v1/me", key).await.status, 401);
    other.call("me", json!({})).await.unwrap();
}

#[tokio::test]
async fn nothing_of_one_account_is_visible_to_another() {
    let lab = Lab::start().await;
    let device = Device::enrolled(&lab).await;
    lab.admin("account.create", json!({"name": "other"})).await;
    let made = lab.admin("key.create", json!({"account": "other", "name": "k", "scope": "admin"})).await;
    let mut app = App::connect(&lab, made["key"].as_str().unwrap()).await;
    assert_eq!(app.call("agents.list", json!({})).await.unwrap(), json!({"agents": []}));
    let foreign = app.call("agents.get", json!({"agent": device.id})).await.unwrap_err();
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let nobody = app.call("agents.get", json!({"agent": unknown})).await.unwrap_err();
    let alike = foreign.to_string().replace(&device.id.to_string(), unknown);
    assert_eq!(alike, nobody.to_string());
    assert_eq!(lab.try_admin("account.create", json!({"name": "other"})).await.unwrap_err()["status"], 409);
}

#[tokio::test]
async fn a_sign_in_link_is_good_once() {
    let lab = Lab::start().await;
    let link = lab.sign_in().unwrap();
    let token = link.split_once("token=").unwrap().1.split('#').next().unwrap();
    let signed_in = lab.rest(Method::POST, "/v1/sign-in", None, json!({"link": token})).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text);
    let key = signed_in.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(lab.get("/v1/me", &key).await.json()["scope"], "admin");
    assert_eq!(lab.rest(Method::POST, "/v1/sign-in", None, json!({"link": token})).await.status, 401);
    let made = lab.admin("user.link", json!({"user": "owner"})).await;
    assert!(made["link"].as_str().unwrap().ends_with(link.split_once('#').unwrap().1));
}

#[tokio::test]
async fn the_pages_and_probes_answer() {
    let lab = Lab::start().await;
    // The console where it is built, else a page that says how to get it.
    for (path, holds) in [("/", "Inkwire"), ("/healthz", "ok"), ("/readyz", "ready"), ("/sign-in", "Inkwire")]
    {
        let answer = lab.rest(Method::GET, path, None, Value::Null).await;
        assert!(answer.status == 200 && answer.text.contains(holds), "{path}: {answer:?}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}
