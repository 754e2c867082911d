use std::time::Duration;

use inkwire_client::protocol::app::{ProblemKind, method};
use inkwire_client::protocol::job::Decision;
use inkwire_client::{Client, Error, Options};
use serde_json::json;

use crate::fake::{Fake, KEY};

#[tokio::test]
async fn a_call_without_harm_is_repeated_and_another_says_that_nobody_knows() {
    let fake = Fake::start().await;
    let (client, mut peer) = fake.connected().await;
    let id = "018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e".parse().unwrap();
    let calls = async { tokio::join!(client.agents(), client.decide(id, Decision::Reprint)) };
    let broker = async {
        peer.call(method::AGENTS_LIST).await;
        peer.call(method::JOBS_DECIDE).await;
        drop(peer);
        let mut peer = fake.accept().await;
        let (id, _) = peer.call(method::AGENTS_LIST).await;
        peer.answer(&id, json!({ "agents": [] })).await;
        peer
    };
    let ((agents, decided), _peer) = tokio::join!(calls, broker);
    assert_eq!(agents.unwrap(), []);
    let error = decided.unwrap_err();
    assert!(matches!(error, Error::Interrupted { method: method::JOBS_DECIDE }) && !error.is_retryable());
}

#[tokio::test]
async fn a_wrong_key_is_refused_at_once_and_never_shown() {
    let fake = Fake::start().await;
    let connect = Client::connect(fake.url.clone(), "ik_wrong_secret");
    let (client, upgraded) = tokio::join!(connect, fake.upgrade());
    assert!(upgraded.is_none());
    let error = client.unwrap_err();
    assert_eq!(error.kind(), Some(ProblemKind::Unauthenticated));
    assert!(!format!("{error} {error:?}").contains("ik_wrong_secret"));
    assert!(!format!("{:?}", Options::new(fake.url.clone(), KEY)).contains(KEY));
}

#[tokio::test]
async fn nobody_there_is_said_after_the_time_for_it() {
    let url = Fake::start().await.url;
    let mut options = Options::new(url, KEY);
    options.connect_within = Duration::from_millis(300);
    let error = Client::with(options).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_call_while_the_broker_is_away_says_so_by_its_deadline() {
    let fake = Fake::start().await;
    let mut options = Options::new(fake.url.clone(), KEY);
    options.call_within = Duration::from_millis(400);
    let (client, peer) = tokio::join!(Client::with(options), fake.accept());
    let client = client.unwrap();
    drop((peer, fake));
    let error = client.agents().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
