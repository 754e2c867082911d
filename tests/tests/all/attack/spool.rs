//! A spool whose bytes are not what was acknowledged.

use std::path::PathBuf;
use std::time::Duration;

use inkwire::demo::router::{Router, RouterConfig};
use inkwire_client::new_job;
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::State;
use inkwire_tests::lab::{Agent, Printer};
use inkwire_tests::{documents, sink};
use inkwire_transport::BrokerUrl;
use tokio_util::sync::CancellationToken;

use super::{RAW, Scene};
use crate::support::{eventually, printers_online, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_file_that_was_damaged_in_the_middle_prints_the_right_bytes_once() {
    let scene = Scene::with("").await;
    // A slow line, so that there is a middle.
    let shutdown = CancellationToken::new();
    let _end = shutdown.clone().drop_guard();
    let config = RouterConfig {
        lan: "127.0.0.1:0".parse().unwrap(),
        broker: scene.broker.ready().listen,
        public: "127.0.0.1".parse().unwrap(),
        bytes_per_s: Some(1_000_000),
    };
    let (router, mut notes) = Router::start(config, shutdown).await.unwrap();
    tokio::spawn(async move { while notes.recv().await.is_some() {} });
    let broker: BrokerUrl = scene.url().parse().unwrap();
    let url = BrokerUrl::new(&broker.host(), router.lan().port(), broker.pin()).unwrap();

    let raw = sink::Socket::listen(None);
    let printers = [Printer::new("raw", raw.uri())];
    let mut agent = Agent::pair_at(&scene.path("agent"), &scene.broker, &url.to_string(), &printers);
    agent.start();
    printers_online(&scene.client, 2).await;
    let document = documents::noise(10, 6_000_000);
    let job = scene.client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    eventually("a part of it is at the agent", Duration::from_secs(20), async || {
        let job = scene.client.job(job.id).await.ok()?.job;
        (job.received_bytes > 1_000_000).then_some(())
    })
    .await;
    agent.kill9();
    let part = part_file(&agent);
    let mut bytes = std::fs::read(&part).unwrap();
    for at in (100_000..130_000).step_by(1_000) {
        bytes[at] ^= 0xff;
    }
    std::fs::write(&part, bytes).unwrap();
    router.set_pace(None);
    agent.start();
    let done = reaches(&scene.client, job.id, &[State::Completed]).await;
    assert_eq!(done.attempt.0, 2, "the damaged attempt was given up");
    assert_eq!(raw.count(Sha256Digest::of(&document)), 1);
    assert_eq!(raw.got().len(), 1, "nothing else came out");
    let history = scene.client.job(job.id).await.unwrap().history;
    assert!(format!("{history:?}").contains("were acknowledged"), "the history says so: {history:#?}");
    let lines = agent.log().lines().filter(|line| line.contains("damaged")).count();
    assert_eq!(lines, 1, "logged once:\n{}", agent.log());
    scene.bystander.is_unharmed().await;
}

fn part_file(agent: &Agent) -> PathBuf {
    let files = std::fs::read_dir(agent.state().join("spool")).unwrap();
    let mut parts = files.flatten().map(|entry| entry.path());
    parts.find(|path| path.extension().is_some_and(|it| it == "part")).expect("a partial document")
}
