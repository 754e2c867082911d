//! Access tokens of another issuer, whose keys are at a URL of its own.

use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request};
use inkwire_broker::RawIssuer;
use inkwire_protocol::app::Scope;
use inkwire_protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::idp::{Idp, Says};
use crate::lab::{LONG, Lab};

struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_ref())).unwrap()
    }
}

fn raw(jwks: String, refresh_s: u64) -> RawIssuer {
    RawIssuer {
        issuer: "https://idp.example".into(),
        audience: "inkwire".into(),
        jwks,
        ca: None,
        algorithms: vec![],
        account: "claim:org".into(),
        scope_claim: Some("roles".into()),
        scopes: [("printing".to_owned(), Scope::Submit), ("print-admin".to_owned(), Scope::Admin)].into(),
        scope: None,
        refresh_s: Some(refresh_s),
    }
}

fn claims(changes: &Value) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://idp.example", "aud": "inkwire", "sub": "ann@example.com", "org": "default", "exp": now + 300,
        "roles": ["printing", "gardening"],
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn its_claims_name_the_account_and_what_may_be_done() {
    let signer = Signer::new("one");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let strange = json!({"kty": "ZZ", "kid": "from the future"});
    std::fs::write(&file, json!({"keys": [strange, signer.jwk()]}).to_string()).unwrap();
    let lab =
        Lab::start_with(|config| config.issuer = vec![raw(file.to_str().unwrap().to_owned(), 60)]).await;
    let me = async |changes: Value| lab.get("/v1/me", &signer.sign(&claims(&changes))).await;
    let answer = me(json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((&answer["scope"], &answer["account_name"]), (&json!("submit"), &json!("default")));
    assert_eq!(
        answer["who"],
        json!({"type": "token", "subject": "ann@example.com", "issuer": "https://idp.example"})
    );
    assert_eq!(me(json!({"roles": "print-admin printing"})).await.json()["scope"], "admin");
    for (what, changes) in [
        ("no role", json!({"roles": ["gardening"]})),
        ("no account", json!({"org": null})),
        ("an unknown account", json!({"org": "nobody"})),
        ("another audience", json!({"aud": "else"})),
        ("another issuer", json!({"iss": "https://evil.example"})),
        ("expired", json!({"exp": 1_700_000_000})),
        ("not yet", json!({"nbf": 4_000_000_000_u64})),
        ("no subject", json!({"sub": ""})),
    ] {
        assert_eq!(me(changes).await.status, 401, "{what}");
    }
    // Its own signature under another algorithm, and somebody else's under its key's name.
    let token = signer.sign(&claims(&json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": "one"}).to_string());
    assert_eq!(lab.get("/v1/me", &format!("{none}.{}.", parts[1])).await.status, 401);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".into());
    let secret = EncodingKey::from_secret(signer.pair.public_key().as_ref());
    let confused = jsonwebtoken::encode(&header, &claims(&json!({})), &secret).unwrap();
    assert_eq!(lab.get("/v1/me", &confused).await.status, 401);
    let forged = Signer::new("one").sign(&claims(&json!({})));
    assert_eq!(lab.get("/v1/me", &forged).await.status, 401);
    let path = Signer::new("../../../../etc/passwd").sign(&claims(&json!({})));
    assert_eq!(lab.get("/v1/me", &path).await.status, 401);
}

/// What a token of this signer's is answered with, and how long it took.
async fn asked(lab: &Lab, signer: &Signer) -> (u16, Duration) {
    let since = Instant::now();
    let answer = lab.get("/v1/me", &signer.sign(&claims(&json!({})))).await;
    (answer.status.as_u16(), since.elapsed())
}

fn set(signers: &[&Signer]) -> Says {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    Says::Body(json!({ "keys": keys }).to_string())
}

#[tokio::test]
async fn new_keys_are_looked_for_now_and_then_and_old_ones_outlive_an_outage() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let idp = Idp::http(set(&[&one])).await;
    let lab = Lab::start_with(|config| config.issuer = vec![raw(idp.url(), 0)]).await;
    let status = async |signer: &Signer| asked(&lab, signer).await.0;
    assert_eq!((status(&one).await, status(&one).await), (200, 200));
    assert_eq!(idp.asked(), 1, "a known key needs no look");
    assert_eq!(status(&two).await, 401);
    idp.say(set(&[&one, &two]));
    assert_eq!(status(&two).await, 200);
    idp.say(Says::Status("503 Down"));
    assert_eq!(status(&Signer::new("three")).await, 401);
    assert_eq!((status(&one).await, status(&two).await), (200, 200));
}

#[tokio::test]
async fn strangers_cannot_make_it_ask_often() {
    let one = Signer::new("one");
    let idp = Idp::http(set(&[&one])).await;
    let lab = Lab::start_with(|config| config.issuer = vec![raw(idp.url(), 60)]).await;
    for _ in 0..20 {
        assert_eq!(asked(&lab, &Signer::new("none")).await.0, 401);
    }
    assert_eq!(idp.asked(), 1);
    assert_eq!(asked(&lab, &one).await.0, 200);
}

#[tokio::test]
async fn keys_come_over_https_from_a_server_of_a_configured_authority() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let idp = Idp::https(&["localhost"], set(&[&one])).await;
    let with = async |ca: Option<&Idp>, url: String| {
        let ca = ca.map(Idp::authority);
        Lab::start_with(|config| config.issuer = vec![RawIssuer { ca, ..raw(url, 0) }]).await
    };
    let lab = with(Some(&idp), idp.url()).await;
    for _ in 0..3 {
        assert_eq!(asked(&lab, &one).await.0, 200);
    }
    assert_eq!(idp.asked(), 1, "cached");
    assert_eq!(asked(&lab, &two).await.0, 401);
    idp.say(set(&[&two]));
    assert_eq!((asked(&lab, &two).await.0, idp.asked()), (200, 3), "an unknown name is looked for");
    assert_eq!(asked(&lab, &one).await.0, 401, "and what is there no more is good no more");

    // Nobody else's certificate will do: not by the platform's authorities, not by another one, not for another name.
    idp.say(set(&[&one]));
    let other = Idp::https(&["localhost"], set(&[])).await;
    let elsewhere = idp.url().replace("localhost", "127.0.0.1");
    for (ca, url) in [(None, idp.url()), (Some(&other), idp.url()), (Some(&idp), elsewhere)] {
        let lab = with(ca, url.clone()).await;
        assert_eq!(asked(&lab, &one).await.0, 401, "{url}");
    }
    assert_eq!(idp.asked(), 4, "nothing was asked over a connection that is not trusted");
}

#[tokio::test]
async fn a_server_that_misbehaves_costs_time_and_memory_that_are_bounded_and_no_known_key() {
    let (one, none) = (Signer::new("one"), Signer::new("none"));
    let mut idp = Idp::https(&["localhost"], set(&[&one])).await;
    let ca = Some(idp.authority());
    let lab = Lab::start_with(|config| config.issuer = vec![RawIssuer { ca, ..raw(idp.url(), 0) }]).await;
    assert_eq!(asked(&lab, &one).await.0, 200);
    let elsewhere = Idp::http(set(&[&none])).await;
    let mut before = idp.asked();
    for (says, most) in [
        (Says::Endless, Duration::from_secs(9)),
        (Says::Redirect(elsewhere.url()), Duration::from_secs(9)),
        (Says::Body("{}".into()), Duration::from_secs(9)),
        (Says::Trickle, Duration::from_secs(15)),
    ] {
        let what = format!("{says:?}");
        idp.say(says);
        let known = async {
            idp.wait(before + 1).await;
            asked(&lab, &one).await
        };
        let (unknown, known) = tokio::join!(asked(&lab, &none), known);
        assert_eq!((unknown.0, known.0), (401, 200), "{what}");
        assert!(unknown.1 < most && known.1 < Duration::from_secs(5), "{what}: {unknown:?} {known:?}");
        before = idp.asked();
    }
    assert_eq!((before, elsewhere.asked()), (5, 0), "one look each, and no redirect was followed");
    idp.leave().await;
    assert_eq!((asked(&lab, &none).await.0, asked(&lab, &one).await.0), (401, 200));
}

#[tokio::test]
async fn who_hangs_up_does_not_end_the_look_for_keys() {
    use tokio::io::AsyncWriteExt as _;
    let one = Signer::new("one");
    let idp = Idp::http(Says::Held(Box::new(set(&[&one])))).await;
    let lab = Lab::start_with(|config| {
        config.issuer = vec![raw(idp.url(), 60)];
        config.limits.max_connections_per_address = Some(2);
    })
    .await;
    let authorization = format!("Bearer {}", one.sign(&claims(&json!({}))));
    let mut spare = lab.http::<String>().await;
    let mut stream = lab.tls().await;
    let request = format!("GET /v1/me HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    idp.wait(1).await;
    drop(stream);
    // There is room for another connection when the broker has seen the end of this one.
    let room = async { while lab.dial(APP_PATH, APP_SUBPROTOCOL, HeaderMap::new()).await.is_err() {} };
    tokio::time::timeout(LONG, room).await.unwrap();
    idp.release();
    let request = Request::get("/v1/me").header("host", "x").header("authorization", authorization);
    let answer = spare.send_request(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), idp.asked()),
        (200, 1),
        "the one look that was allowed was finished"
    );
}
