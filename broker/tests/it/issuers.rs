//! Access tokens of another issuer, whose keys are at a URL of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_broker::RawIssuer;
use inkwire_protocol::app::Scope;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::lab::Lab;

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

/// Serves whatever stands in `body`, and counts.
async fn serve(body: Arc<Mutex<String>>, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            asked.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 2048];
            let _read = stream.read(&mut request).await.unwrap();
            let body = body.lock().unwrap().clone();
            let head = if body.is_empty() { "HTTP/1.1 503 Down" } else { "HTTP/1.1 200 OK" };
            let answer =
                format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
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

#[tokio::test]
async fn new_keys_are_looked_for_now_and_then_and_old_ones_outlive_an_outage() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let body = Arc::new(Mutex::new(json!({"keys": [one.jwk()]}).to_string()));
    let asked = Arc::new(AtomicUsize::new(0));
    let url = serve(body.clone(), asked.clone()).await;
    let lab = Lab::start_with(|config| config.issuer = vec![raw(url, 0)]).await;
    let status =
        async |signer: &Signer| lab.get("/v1/me", &signer.sign(&claims(&json!({})))).await.status.as_u16();
    assert_eq!((status(&one).await, status(&one).await), (200, 200));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "a known key needs no look");
    assert_eq!(status(&two).await, 401);
    *body.lock().unwrap() = json!({"keys": [one.jwk(), two.jwk()]}).to_string();
    assert_eq!(status(&two).await, 200);
    body.lock().unwrap().clear();
    assert_eq!(status(&Signer::new("three")).await, 401);
    assert_eq!((status(&one).await, status(&two).await), (200, 200));
}

#[tokio::test]
async fn strangers_cannot_make_it_ask_often() {
    let one = Signer::new("one");
    let body = Arc::new(Mutex::new(json!({"keys": [one.jwk()]}).to_string()));
    let asked = Arc::new(AtomicUsize::new(0));
    let url = serve(body.clone(), asked.clone()).await;
    let lab = Lab::start_with(|config| config.issuer = vec![raw(url, 60)]).await;
    for _ in 0..20 {
        let answer = lab.get("/v1/me", &Signer::new("none").sign(&claims(&json!({})))).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(lab.get("/v1/me", &one.sign(&claims(&json!({})))).await.status, 200);
    *body.lock().unwrap() = "x".repeat(300 * 1024);
}
