//! The main ways of a job, and what happens when a spool or a store is not the one it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use inkwire_client::protocol::app::AgentStatus;
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::{Decision, State};
use inkwire_client::protocol::message::Witness;
use inkwire_client::protocol::printer::Delivery;
use inkwire_client::{Client, new_job};
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::{documents, sink};

use crate::support::{client, eventually, printers_online, reaches};

const RAW: &str = "application/octet-stream";

struct House {
    dir: tempfile::TempDir,
    broker: Broker,
    agent: Agent,
    client: Client,
}

/// One broker and one agent with these printers, online.
async fn house(printers: &[Printer]) -> House {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(&dir.path().join("broker"));
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, printers);
    agent.start();
    let client = client(&broker, "submit").await;
    printers_online(&client, printers.len()).await;
    House { dir, broker, agent, client }
}

fn folder(name: &str) -> (tempfile::TempDir, PathBuf, Printer) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let printer = Printer::new(name, format!("directory://{}", path.display()));
    (dir, path, printer)
}

/// A port that nobody listens on: a printer that is switched off.
fn switched_off() -> (std::net::SocketAddr, Printer) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, Printer::new("off", format!("socket://{address}")))
}

fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_a_receipt_and_a_document_come_out_byte_for_byte() {
    let raw = sink::Socket::listen(None);
    let (_keep, path, printer) = folder("files");
    let house = house(&[Printer::new("raw", raw.uri()), printer]).await;

    for document in [documents::zpl(1), documents::escpos(2), documents::noise(3, 3_000_000), Vec::new()] {
        let job = house.client.submit(new_job("files", RAW), document.clone()).await.unwrap();
        let job = reaches(&house.client, job.id, &[State::Completed]).await;
        assert_eq!(job.witness, Some(Witness::Stored));
        assert_eq!((job.received_bytes, job.delivered_bytes), (job.bytes, job.bytes));
        assert_eq!(sink::count_in(&path, Sha256Digest::of(&document)), 1);
    }
    let job = house.client.submit(new_job("raw", RAW), documents::zpl(9)).await.unwrap();
    let job = reaches(&house.client, job.id, &[State::Completed]).await;
    assert_eq!(job.witness, Some(Witness::HandedOver));
    assert_eq!(raw.count(Sha256Digest::of(&documents::zpl(9))), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_documents_that_others_made_arrive_unchanged() {
    let (_keep, path, printer) = folder("files");
    let house = house(&[printer]).await;
    for file in documents::foreign_pdfs() {
        let bytes = std::fs::read(&file).unwrap();
        let job = house.client.submit(new_job("files", "application/pdf"), bytes.clone()).await.unwrap();
        reaches(&house.client, job.id, &[State::Completed]).await;
        assert!(sink::count_in(&path, Sha256Digest::of(&bytes)) >= 1, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_survives_a_restart_of_the_broker_on_one_device_connection() {
    let raw = sink::Socket::listen(Some((64 * 1024, Duration::from_millis(15))));
    let mut house = house(&[Printer::new("raw", raw.uri())]).await;
    let document = documents::noise(11, 12_000_000);
    let mut job = new_job("raw", RAW);
    job.delivery = Delivery::Stream;
    let job = house.client.submit(job, document.clone()).await.unwrap();
    eventually("bytes reach the device", Duration::from_secs(20), async || {
        let job = house.client.job(job.id).await.ok()?.job;
        (job.delivered_bytes > 500_000).then_some(())
    })
    .await;
    house.broker.kill9();
    house.broker.restart();
    let job = reaches(&house.client, job.id, &[State::Completed]).await;
    assert_eq!(raw.count(Sha256Digest::of(&document)), 1);
    assert_eq!(raw.got().len(), 1, "the device saw one connection: {:?}", raw.got());
    assert_eq!(job.attempt.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_while_streaming_leaves_an_uncertain_job() {
    let raw = sink::Socket::listen(Some((64 * 1024, Duration::from_millis(15))));
    let mut house = house(&[Printer::new("raw", raw.uri())]).await;
    let document = documents::noise(12, 12_000_000);
    let mut job = new_job("raw", RAW);
    job.delivery = Delivery::Stream;
    let job = house.client.submit(job, document.clone()).await.unwrap();
    eventually("bytes reach the device", Duration::from_secs(20), async || {
        let job = house.client.job(job.id).await.ok()?.job;
        (job.delivered_bytes > 500_000).then_some(())
    })
    .await;
    house.agent.kill9();
    house.agent.start();
    let job = reaches(&house.client, job.id, &[State::Uncertain]).await;
    assert!(job.delivered_bytes < job.bytes, "only what is certain is called delivered: {job:#?}");
    let reason = job.reason.clone().unwrap();
    assert!(reason.detail.contains("of its 12000000 bytes"), "it says how far it got: {reason:?}");
    let job = house.client.decide(job.id, Decision::Printed).await.unwrap();
    assert_eq!((job.state, job.witness), (State::Completed, Some(Witness::Human)));
    assert_eq!(raw.count(Sha256Digest::of(&document)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_spool_makes_jobs_uncertain_and_prints_nothing_twice() {
    let (address, off) = switched_off();
    let (_keep, path, files) = folder("files");
    let mut house = house(&[files.clone(), off.clone()]).await;
    let printed = documents::zpl(1);
    let job = house.client.submit(new_job("files", RAW), printed.clone()).await.unwrap();
    reaches(&house.client, job.id, &[State::Completed]).await;
    let waiting = documents::zpl(2);
    let job = house.client.submit(new_job("off", RAW), waiting.clone()).await.unwrap();
    reaches(&house.client, job.id, &[State::Stopped, State::Spooled]).await;

    house.agent.kill9();
    for file in ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"] {
        let file = house.agent.state().join(file);
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    let raw = sink::Socket::at(address);
    house.agent.start();
    let job = reaches(&house.client, job.id, &[State::Uncertain]).await;
    assert!(job.reason.is_some_and(|reason| reason.code == "spool-lost"));
    let job = house.client.decide(job.id, Decision::Reprint).await.unwrap();
    reaches(&house.client, job.id, &[State::Completed]).await;
    assert_eq!(raw.count(Sha256Digest::of(&waiting)), 1);
    assert_eq!(sink::count_in(&path, Sha256Digest::of(&printed)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_old_spool_prints_nothing_twice() {
    let raw = sink::Socket::listen(None);
    let mut house = house(&[Printer::new("raw", raw.uri())]).await;
    let backup = house.dir.path().join("state-backup");
    let first = house.client.submit(new_job("raw", RAW), documents::zpl(1)).await.unwrap();
    reaches(&house.client, first.id, &[State::Completed]).await;
    house.agent.kill9();
    copy_folder(&house.agent.state(), &backup);
    house.agent.start();
    let mut ids = Vec::new();
    for number in 2..12 {
        let job = house.client.submit(new_job("raw", RAW), documents::zpl(number)).await.unwrap();
        ids.push(job.id);
    }
    for &id in &ids {
        reaches(&house.client, id, &[State::Completed]).await;
    }
    house.agent.kill9();
    // The restored dial number is an old one: the agent is told so and goes on with the next.
    copy_folder(&backup, &house.agent.state());
    house.agent.start();
    let job = house.client.submit(new_job("raw", RAW), documents::zpl(99)).await.unwrap();
    reaches(&house.client, job.id, &[State::Completed]).await;
    for number in (1..12).chain([99]) {
        assert_eq!(raw.count(Sha256Digest::of(&documents::zpl(number))), 1, "label {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_restored_from_a_backup_prints_nothing_twice() {
    let raw = sink::Socket::listen(None);
    let mut house = house(&[Printer::new("raw", raw.uri())]).await;
    // The jobs of the backup: accepted, and held back by an agent that is away.
    house.agent.kill9();
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(house.client.submit(new_job("raw", RAW), documents::zpl(number)).await.unwrap().id);
    }
    house.broker.kill9();
    let backup = house.dir.path().join("data-backup");
    copy_folder(&house.broker.data(), &backup);
    house.broker.restart();
    house.agent.start();
    for &id in &ids {
        reaches(&house.client, id, &[State::Completed]).await;
    }
    house.broker.kill9();
    copy_folder(&backup, &house.broker.data());
    house.broker.restart();
    for (number, &id) in ids.iter().enumerate() {
        let job = reaches(&house.client, id, &[State::Completed]).await;
        assert_eq!(job.witness, Some(Witness::HandedOver));
        assert_eq!(raw.count(Sha256Digest::of(&documents::zpl(number as u64))), 1, "label {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_broker_whose_agent_lost_its_spool_asks_before_it_prints_again() {
    let raw = sink::Socket::listen(None);
    let mut house = house(&[Printer::new("raw", raw.uri())]).await;
    house.agent.kill9();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(house.client.submit(new_job("raw", RAW), documents::zpl(number)).await.unwrap().id);
    }
    house.broker.kill9();
    let backup = house.dir.path().join("data-backup");
    copy_folder(&house.broker.data(), &backup);
    house.broker.restart();
    house.agent.start();
    for &id in &ids {
        reaches(&house.client, id, &[State::Completed]).await;
    }
    // The broker goes back to before all that, as operations.md says it is done; the agent's memory of it is gone as well.
    house.agent.kill9();
    house.broker.kill9();
    copy_folder(&backup, &house.broker.data());
    std::fs::remove_file(house.broker.data().join("store.incarnation")).unwrap();
    for file in ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"] {
        let file = house.agent.state().join(file);
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    house.broker.restart();
    house.agent.start();
    for &id in &ids {
        let job = reaches(&house.client, id, &[State::Uncertain]).await;
        assert!(job.reason.is_some_and(|reason| reason.code == "store-and-spool-lost"));
    }
    // What is new is printed as ever, what somebody decides is printed once more, and nothing else is.
    let new = house.client.submit(new_job("raw", RAW), documents::zpl(99)).await.unwrap();
    reaches(&house.client, new.id, &[State::Completed]).await;
    house.client.decide(ids[0], Decision::Reprint).await.unwrap();
    reaches(&house.client, ids[0], &[State::Completed]).await;
    for number in 0..5 {
        let times = raw.count(Sha256Digest::of(&documents::zpl(number)));
        assert_eq!(times, if number == 0 { 2 } else { 1 }, "label {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_with_a_copied_identity_are_named_as_a_clone() {
    let (_keep, _path, printer) = folder("files");
    let house = house(std::slice::from_ref(&printer)).await;
    let copy = house.dir.path().join("copy");
    std::fs::create_dir_all(&copy).unwrap();
    copy_folder(&house.agent.state(), &copy.join("state"));
    let mut twin = Agent::adopt(&copy);
    twin.configure(&[printer]);
    twin.start();
    let agent = eventually("the clone is noticed", Duration::from_secs(60), async || {
        let agents = house.client.agents().await.ok()?;
        agents.into_iter().find(|agent| agent.status == AgentStatus::Clone)
    })
    .await;
    house.broker.admin(&["agent", "release", &agent.id.to_string()]);
    let agent = house.client.agent(agent.id).await.unwrap();
    assert_ne!(agent.status, AgentStatus::Clone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_at_the_agent_prints_all_the_same_and_says_so_once() {
    for clock in ["-1d", "+1d", "@1970-01-02 00:00:00"] {
        let (_keep, path, printer) = folder("files");
        let mut house = house(&[printer]).await;
        house.agent.kill9();
        house.agent.env("LD_PRELOAD", &faketime());
        house.agent.env("FAKETIME", clock);
        house.agent.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let before = house.agent.log().len();
        house.agent.start();
        let job = house.client.submit(new_job("files", RAW), documents::zpl(1)).await.unwrap();
        reaches(&house.client, job.id, &[State::Completed]).await;
        assert_eq!(sink::digests_in(&path).len(), 1, "{clock}");
        let log = house.agent.log()[before..].to_owned();
        assert_eq!(log.matches("clock is wrong").count(), 1, "{clock}: said once:\n{log}");
    }
}

fn faketime() -> String {
    let found = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists());
    found.expect("libfaketime is not installed: `cargo xtask test` installs it as root").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_the_agent_comes_back() {
    let (_keep, path, printer) = folder("files");
    let mut house = house(&[printer]).await;
    assert!(
        house.broker.process().terminate(Duration::from_secs(15)),
        "the broker ends by itself on SIGTERM"
    );
    house.broker.restart();
    let job = house.client.submit(new_job("files", RAW), documents::zpl(5)).await.unwrap();
    reaches(&house.client, job.id, &[State::Completed]).await;
    assert_eq!(sink::digests_in(&path).len(), 1);
}
