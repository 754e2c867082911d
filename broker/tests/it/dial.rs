//! Who may dial: attacks on the token, the number and the session.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{Epoch, SessionToken};
use inkwire_protocol::message::{DialClaims, DialError, ToBroker};

use crate::device::{Device, now_s, refused};
use crate::lab::Lab;

#[tokio::test]
async fn a_session_is_taken_up_again_with_the_next_epoch() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (first, welcome) = device.connect(&lab).await;
    assert_eq!((welcome.epoch, welcome.resumed, welcome.agent_name.as_str()), (Epoch(1), false, "till-1"));
    assert_eq!(welcome.observed_endpoint.ip().to_string(), "127.0.0.1");
    drop(first);
    let (_second, again) = device.connect(&lab).await;
    assert_eq!((again.epoch, again.resumed), (Epoch(2), true));
    assert_eq!(again.session, welcome.session);
    device.token = Some(SessionToken::from_bytes([1; 32]));
    let (_third, fresh) = device.connect(&lab).await;
    assert_eq!((fresh.epoch, fresh.resumed), (Epoch(3), false), "an unknown token loses nothing");
    assert!(fresh.session != welcome.session);
}

#[tokio::test]
async fn a_replayed_token_is_dead() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let claims = device.claims();
    let token = device.sign(&claims);
    let mut link = device.dial_with(&lab, &token).await.unwrap();
    link.say(&ToBroker::Hello(Box::new(device.hello())));
    let _welcome: serde_json::Value = link.receive().await;
    let answer = refused(device.dial_with(&lab, &token).await);
    assert_eq!(answer.error, DialError::Replayed);
    assert!(answer.broker_time_ms / 1000 >= now_s() - 5);
}

#[tokio::test]
async fn two_dials_with_one_number_begin_one_session() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let claims = device.claims();
    let token = device.sign(&claims);
    let (mut one, mut two) =
        (device.dial_with(&lab, &token).await.unwrap(), device.dial_with(&lab, &token).await.unwrap());
    one.say(&ToBroker::Hello(Box::new(device.hello())));
    let _welcome: serde_json::Value = one.receive().await;
    two.say(&ToBroker::Hello(Box::new(device.hello())));
    assert_eq!(two.closed().await.code(), CloseCode::Superseded);
}

#[tokio::test]
async fn forged_foreign_and_expired_tokens_are_refused() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let mut stranger = Device::stranger();
    stranger.id = device.id;
    let claims = device.claims();
    let good = device.sign(&claims);
    let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
    let body = good.split('.').nth(1).unwrap();
    let unknown = Device::stranger();
    let stranger_token = stranger.sign(&claims);
    let unknown_token = unknown.sign(&DialClaims { sub: unknown.id.to_string(), ..claims.clone() });
    for (what, token) in [
        ("another key", stranger_token),
        ("no algorithm", format!("{none}.{body}.")),
        ("nobody's id", unknown_token),
        ("another audience", device.sign(&DialClaims { aud: "else".into(), ..claims.clone() })),
        ("a long life", device.sign(&DialClaims { exp: claims.iat + 3600, ..claims.clone() })),
        ("not a token", "abc".into()),
    ] {
        assert_eq!(refused(device.dial_with(&lab, &token).await).error, DialError::Unauthenticated, "{what}");
    }
    for iat in [0, now_s() - 200, now_s() + 100, now_s() + 86_400] {
        let token = device.sign(&DialClaims { iat, exp: iat + 60, ..claims.clone() });
        assert_eq!(refused(device.dial_with(&lab, &token).await).error, DialError::Clock, "{iat}");
    }
    assert!(device.dial_with(&lab, &good).await.is_ok(), "none of this used up the number");
    let counters = &lab.admin("status", serde_json::json!({})).await["counters"];
    assert_eq!(counters["dial-refused"], 10, "{counters}");
}

#[tokio::test]
async fn another_agents_session_token_is_refused() {
    let lab = Lab::start().await;
    let (mut victim, mut thief) = (Device::enrolled(&lab).await, Device::enrolled(&lab).await);
    let (mut held, welcome) = victim.connect(&lab).await;
    thief.token = Some(welcome.session);
    let mut link = thief.dial(&lab).await.unwrap();
    link.say(&ToBroker::Hello(Box::new(thief.hello())));
    assert_eq!(link.closed().await.code(), CloseCode::Unauthenticated);
    // A token in `hello` that the dial was not signed for.
    let mut link = thief.dial(&lab).await.unwrap();
    thief.token = Some(SessionToken::from_bytes([9; 32]));
    link.say(&ToBroker::Hello(Box::new(thief.hello())));
    assert_eq!(link.closed().await.code(), CloseCode::Unauthenticated);
    held.say(&serde_json::json!({"type": "report", "seq": 1}));
    let answer: serde_json::Value = held.receive().await;
    assert_eq!(answer["type"], "report_ok", "the victim feels nothing");
}

#[tokio::test]
async fn an_agent_that_is_too_old_is_told_so() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let mut link = device.dial(&lab).await.unwrap();
    link.say(&ToBroker::Hello(Box::new(inkwire_protocol::message::Hello { protocol: 0, ..device.hello() })));
    assert_eq!(link.closed().await.code(), CloseCode::Incompatible);
}
