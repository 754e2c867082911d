//! Dials with tokens and keys that are not what they should be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_client::protocol::message::{
    AGENT_PATH, AGENT_SUBPROTOCOL, APP_PATH, APP_SUBPROTOCOL, DialClaims,
};
use inkwire_tests::fleet::{Member, Route, enrolments};
use inkwire_tests::peer::{Peer, Refused};
use serde_json::json;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_expired_token_and_one_of_another_agent_begin_nothing() {
    let scene = Scene::with("").await;
    let route = Route::to(scene.url());
    let mut tokens = enrolments(&scene.broker.data(), 2).await.into_iter();
    let mut agent = Member::pair(&route, 1, tokens.next().unwrap()).await;
    let mut other = Member::pair(&route, 2, tokens.next().unwrap()).await;
    let (_open, _) = agent.connect(&route).await;

    let good = agent.claims(&route);
    let signed = agent.sign(&good);
    let parts: Vec<&str> = signed.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(json!({"typ": "JWT", "alg": "none"}).to_string());
    let hs256 = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256),
        &good,
        &jsonwebtoken::EncodingKey::from_secret(&agent.public_key()),
    )
    .unwrap();
    let (iat, exp) = (good.iat, good.exp);
    let others_claims = other.claims(&route);
    for (what, token, error) in [
        ("another agent's key", other.sign(&good), "unauthenticated"),
        ("another agent's name", agent.sign(&others_claims), "unauthenticated"),
        ("alg none", format!("{none}.{}.", parts[1]), "unauthenticated"),
        ("alg none, signed", format!("{none}.{}.{}", parts[1], parts[2]), "unauthenticated"),
        ("the public key as an HMAC secret", hs256, "unauthenticated"),
        ("cut", signed[..signed.len() - 6].to_owned(), "unauthenticated"),
        ("no JWT", "x.y.z".to_owned(), "unauthenticated"),
        (
            "another audience",
            agent.sign(&DialClaims { aud: "else".into(), ..good.clone() }),
            "unauthenticated",
        ),
        ("a long life", agent.sign(&DialClaims { exp: exp + 600, ..good.clone() }), "unauthenticated"),
        ("expired", agent.sign(&DialClaims { iat: iat - 3600, exp: exp - 3600, ..good.clone() }), "clock"),
        ("not yet", agent.sign(&DialClaims { iat: iat + 3600, exp: exp + 3600, ..good.clone() }), "clock"),
        ("a number that was used", agent.sign(&DialClaims { n: 1, ..good.clone() }), "replayed"),
    ] {
        scene.costs("dial-refused", &["dial refused"], || {
            let refused =
                Peer::upgrade(scene.url(), AGENT_PATH, AGENT_SUBPROTOCOL, Some(&token)).unwrap_err();
            assert_eq!((refused.status, &refused.body["error"]), (401, &json!(error)), "{what}: {refused:?}");
            assert!(refused.body["detail"].as_str().is_some_and(|it| !it.is_empty()), "{what}: {refused:?}");
            assert!(refused.body["broker_time_ms"].as_u64().is_some_and(|it| it > 0), "{what}");
        });
    }
    assert_eq!(scene.logged(&[&signed]), 0, "no token is logged");
    let live = scene.client.agent(agent.id()).await.unwrap();
    assert_eq!(live.epoch.0, 1, "no dial displaced the agent's session");
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_agent_cannot_be_taken_up() {
    let scene = Scene::with("").await;
    let route = Route::to(scene.url());
    let mut tokens = enrolments(&scene.broker.data(), 2).await.into_iter();
    let mut thief = Member::pair(&route, 1, tokens.next().unwrap()).await;
    let mut owner = Member::pair(&route, 2, tokens.next().unwrap()).await;
    let (_open, welcome) = owner.connect(&route).await;

    let stolen = owner.session().unwrap().clone();
    for (what, th) in [("with its digest", Some(stolen.digest().to_string())), ("without its digest", None)] {
        let claims = thief.claims(&route);
        let token = thief.sign(&DialClaims { th, ..claims });
        let having = ["WARN", "session refused", "unauthenticated"];
        scene.costs("unauthenticated", &having, || {
            let mut peer = Peer::upgrade(scene.url(), AGENT_PATH, AGENT_SUBPROTOCOL, Some(&token)).unwrap();
            let mut hello = serde_json::to_value(thief.hello()).unwrap();
            hello["type"] = json!("hello");
            hello["session"] = serde_json::to_value(&stolen).unwrap();
            peer.text(&hello.to_string());
            assert_eq!(peer.closed().0, 4500, "{what}");
        });
    }
    let live = scene.client.agent(owner.id()).await.unwrap();
    assert_eq!(live.epoch, welcome.epoch, "the owner kept its session");
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_a_valid_key_gets_nothing() {
    let scene = Scene::with("").await;
    let created = scene.broker.admin(&["key", "create", "--scope", "admin", "--name", "short-lived"]);
    let key = created["key"].as_str().unwrap().to_owned();
    let mut forged = key.clone();
    forged.replace_range(key.len() - 8.., "AAAAAAAA");
    let upgrade = |key: &str| Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(key));
    let is_401 = |refused: Refused| {
        assert_eq!(refused.status, 401, "{refused:?}");
        assert_eq!(refused.body["type"], json!("urn:inkwire:problem:unauthenticated"));
    };

    // REST answers a GET whatever else its headers wish for.
    let rest = |key: Option<&str>| Peer::upgrade(scene.url(), "/v1/jobs", APP_SUBPROTOCOL, key).unwrap_err();
    let doors: [(&str, &dyn Fn() -> Box<Refused>); 4] = [
        ("a forged key at the upgrade", &|| upgrade(&forged).unwrap_err()),
        ("nonsense at the upgrade", &|| upgrade("nonsense").unwrap_err()),
        ("a forged key by REST", &|| rest(Some(&forged))),
        ("no key by REST", &|| rest(None)),
    ];
    for (what, refused) in doors {
        let before = scene.refused("unauthenticated");
        is_401(*refused());
        let after = (before.0 + 1, before.1 + 1);
        assert_eq!(scene.refused("unauthenticated"), after, "{what}: counted and logged once");
    }
    assert_eq!(scene.logged(&[&forged]), 0, "no key is logged");
    scene.costs("unauthenticated", &["WARN", "app connection ended", "unauthenticated"], || {
        let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, None).unwrap();
        peer.call("authenticate", &json!({"token": forged})).unwrap_err();
        assert_eq!(peer.closed().0, 4500);
    });
    scene.costs("unauthenticated", &["WARN", "app connection ended", "unauthenticated"], || {
        let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, None).unwrap();
        peer.call("jobs.list", &json!({})).unwrap_err();
        assert_eq!(peer.closed().0, 4500);
    });
    let mut live = upgrade(&key).unwrap();
    live.call("me", &json!({})).unwrap();
    scene.broker.admin(&["key", "revoke", created["id"].as_str().unwrap()]);
    assert_eq!(live.closed().0, 4501, "a revoked key ends its connections");
    is_401(*upgrade(&key).unwrap_err());
    scene.bystander.is_unharmed().await;
}
