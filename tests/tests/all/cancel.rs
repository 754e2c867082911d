//! `inkwire job ID --cancel` at each stage of a document's way, and what the command leaves behind at the broker.

use std::time::Duration;

use inkwire_client::new_job;
use inkwire_client::protocol::ids::JobId;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::printer::Delivery;
use inkwire_tests::lab::{Broker, binary};
use inkwire_tests::{documents, sink};
use serde_json::Value;

use crate::detect::{Line, line};
use crate::support::{eventually, reaches};

const RAW: &str = "application/octet-stream";

/// Runs the command as a person would; gives what `--json` prints.
fn inkwire(broker: &Broker, key: &str, args: &[&str]) -> Value {
    let output = std::process::Command::new(binary())
        .args(args)
        .arg("--json")
        .env("INKWIRE_URL", &broker.ready().pair_url)
        .env("INKWIRE_KEY", key)
        .output()
        .expect("inkwire starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn cancel(line: &Line, job: JobId) -> Value {
    let key = line.broker.key("submit");
    inkwire(&line.broker, &key, &["job", &job.to_string(), "--cancel"])["job"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_canceled_on_its_way_leaves_nothing_and_prints_nothing() {
    let line = line("", sink::Socket::listen(None)).await;
    line.router.set_pace(Some(200_000));
    let job = line.client.submit(new_job("raw", RAW), documents::noise(31, 6_000_000)).await.unwrap();
    eventually("a part of it is at the agent", Duration::from_secs(30), async || {
        let job = line.client.job(job.id).await.ok()?.job;
        assert!([State::Pending, State::Sending].contains(&job.state), "{job:?}");
        (job.received_bytes > 0).then_some(())
    })
    .await;
    let shown = cancel(&line, job.id);
    assert_eq!(shown["state"], "canceled", "the broker owns it until the last packet: {shown}");
    let spool = line.agent.state().join("spool");
    eventually("the agent throws its part away", Duration::from_secs(30), async || {
        std::fs::read_dir(&spool).ok()?.next().is_none().then_some(())
    })
    .await;
    // The printer is free for the next one, and got nothing of the first.
    let next = line.client.submit(new_job("raw", RAW), documents::zpl(31)).await.unwrap();
    reaches(&line.client, next.id, &[State::Completed]).await;
    assert_eq!(line.sink.got().len(), 1, "{:?}", line.sink.got());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_canceled_while_it_prints_is_uncertain_and_says_how_far_it_got() {
    // 40 kB a second: it prints for minutes unless it is stopped.
    let line = line("", sink::Socket::listen(Some((4096, Duration::from_millis(100))))).await;
    let document = documents::noise(32, 14_000_000);
    for delivery in [Delivery::Spool, Delivery::Stream] {
        let mut job = new_job("raw", RAW);
        job.delivery = delivery;
        let job = line.client.submit(job, document.clone()).await.unwrap();
        eventually("a part of it is printed", Duration::from_secs(30), async || {
            let job = line.client.job(job.id).await.ok()?.job;
            assert!(!job.state.is_terminal(), "{job:?}");
            (job.state == State::Printing && job.delivered_bytes > 0).then_some(())
        })
        .await;
        let shown = cancel(&line, job.id);
        assert!(shown["request"] == "cancel" || shown["state"] == "uncertain", "{delivery:?}: {shown}");
        let ended = reaches(&line.client, job.id, &[State::Uncertain]).await;
        assert!(ended.delivered_bytes > 0 && ended.delivered_bytes < ended.bytes, "{delivery:?}: {ended:?}");
        assert!(ended.reason.is_some(), "{delivery:?}: {ended:?}");
        assert_eq!(ended.request, None);
    }
    assert!(line.sink.got().iter().all(|got| got.bytes < document.len() as u64), "{:?}", line.sink.got());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_goodbye() {
    let line = line("", sink::Socket::listen(None)).await;
    let (key, label) = (line.broker.key("submit"), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(label.path(), documents::zpl(33)).unwrap();
    let counters = || line.broker.admin(&["status"])["counters"].clone();
    let normal = |counters: &Value| counters["normal"].as_u64().unwrap_or(0);
    let before = counters();
    for args in [
        &["agents"][..],
        &["printers"],
        &["jobs"],
        // Two connections: events come on one of their own.
        &["print", label.path().to_str().unwrap(), "--printer", "raw", "--format", RAW, "--watch"],
    ] {
        inkwire(&line.broker, &key, args);
    }
    eventually("all ends are counted", Duration::from_secs(10), async || {
        (normal(&counters()) >= normal(&before) + 5).then_some(())
    })
    .await;
    let after = counters();
    assert_eq!(normal(&after), normal(&before) + 5, "{before} {after}");
    assert_eq!(after["other"], before["other"], "no connection broke off");
}
