//! Becoming an agent: by a code that somebody types, or by an enrolment token.

use http::HeaderMap;
use inkwire_protocol::message::{FromPairing, PAIR_PATH, PAIR_SUBPROTOCOL, ToPairing};
use serde_json::json;

use crate::app::App;
use crate::device::{Device, Link};
use crate::lab::Lab;

#[tokio::test]
async fn somebody_types_the_code_and_approves_exactly_this_key() {
    let lab = Lab::start().await;
    let mut app = App::connect(&lab, &lab.key("admin").await).await;
    let mut device = Device::stranger();
    let (mut link, answer) = device.pair(&lab, None).await;
    let FromPairing::Code { code, observed_endpoint, .. } = answer else { panic!("{answer:?}") };
    let typed = code.to_lowercase().replace('-', " ");
    let shown = app.call("pairings.show", json!({"code": typed})).await.unwrap();
    assert_eq!(
        (&shown["hostname"], &shown["observed_endpoint"]),
        (&json!("till-1"), &json!(observed_endpoint))
    );
    let other = "00".repeat(32);
    let wrong = app.call("pairings.approve", json!({"code": code, "fingerprint": other})).await.unwrap_err();
    assert_eq!((&wrong["status"], &wrong["pointer"]), (&json!(409), &json!("/fingerprint")));
    let approval = json!({"code": code, "fingerprint": shown["fingerprint"], "name": "Till 1"});
    let agent = app.call("pairings.approve", approval.clone()).await.unwrap();
    let FromPairing::Paired { agent: id, agent_name, account_name, .. } = link.receive().await else {
        panic!("not paired")
    };
    assert_eq!(
        (json!(id), agent_name.as_str(), account_name.as_str()),
        (agent["id"].clone(), "Till 1", "default")
    );
    assert_eq!(app.call("pairings.approve", approval).await.unwrap_err()["status"], 404);
    device.id = id;
    device.connect(&lab).await;
}

#[tokio::test]
async fn codes_cannot_be_guessed_and_small_keys_may_not_try() {
    let lab = Lab::start().await;
    let mut app = App::connect(&lab, &lab.key("admin").await).await;
    for _ in 0..5 {
        assert_eq!(app.call("pairings.show", json!({"code": "0000-0000"})).await.unwrap_err()["status"], 404);
    }
    let busy = app.call("pairings.show", json!({"code": "0000-0000"})).await.unwrap_err();
    assert_eq!(busy["status"], 429);
    assert!(busy["retry_after_s"].as_u64().unwrap() <= 60);
    let mut submitter = App::connect(&lab, &lab.key("submit").await).await;
    assert_eq!(
        submitter.call("pairings.show", json!({"code": "0000-0000"})).await.unwrap_err()["status"],
        403
    );
}

#[tokio::test]
async fn an_enrolment_token_is_good_once() {
    let lab = Lab::start().await;
    let token = lab.admin("enrolment.create", json!({"expires_in_s": 60})).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, first) = Device::stranger().pair(&lab, Some(&token)).await;
    assert!(matches!(first, FromPairing::Paired { .. }), "{first:?}");
    for token in [token.as_str(), "ie_nonsense", "ik_AAAA"] {
        let (_, again) = Device::stranger().pair(&lab, Some(token)).await;
        assert!(matches!(again, FromPairing::Refused { .. }), "{again:?}");
    }
    assert_eq!(
        lab.try_admin("enrolment.create", json!({"expires_in_s": 100_000})).await.unwrap_err()["status"],
        400
    );
}

#[tokio::test]
async fn a_key_without_its_proof_is_refused() {
    let lab = Lab::start().await;
    let (honest, thief) = (Device::stranger(), Device::stranger());
    let dialled = lab.dial(PAIR_PATH, PAIR_SUBPROTOCOL, HeaderMap::new()).await.unwrap();
    let mut link = Link(dialled.socket);
    let FromPairing::Challenge { nonce } = link.receive().await else { panic!("no challenge") };
    let (ToPairing::Pair { public_key, .. }, ToPairing::Pair { proof, hostname, os, version, .. }) =
        (honest.request(&nonce, None), thief.request(&nonce, None))
    else {
        panic!("not requests")
    };
    link.say(&ToPairing::Pair { public_key, proof, hostname, os, version, enrolment: None });
    assert!(matches!(link.receive().await, FromPairing::Refused { .. }));
}

#[tokio::test]
async fn one_address_has_five_places() {
    let lab = Lab::start().await;
    let mut links = Vec::new();
    for _ in 0..5 {
        let (link, answer) = Device::stranger().pair(&lab, None).await;
        assert!(matches!(answer, FromPairing::Code { .. }), "{answer:?}");
        links.push(link);
    }
    let (_, sixth) = Device::stranger().pair(&lab, None).await;
    assert!(matches!(sixth, FromPairing::Refused { .. }), "{sixth:?}");
    drop(links);
    let freed =
        async { while !matches!(Device::stranger().pair(&lab, None).await.1, FromPairing::Code { .. }) {} };
    tokio::time::timeout(crate::lab::LONG, freed).await.unwrap();
}
