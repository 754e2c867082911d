//! A disk that is full, for real: the state directory is a tmpfs (only root can mount one; `cargo xtask test` counts it as
//! not run without).
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "an integration test: whatever else comes is a failure"
)]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use common::printer::Printer;
use common::*;
use inkwire_agent::Config;
use inkwire_protocol::ids::{Attempt, JobId};
use inkwire_protocol::message::*;

/// A disk of its own, as long as this lives.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let done = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], folder.path());
        assert!(done, "a tmpfs cannot be mounted: run as root, with CAP_SYS_ADMIN");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn resize(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], self.path()), "the tmpfs can be resized");
    }

    /// Writes until nothing more goes.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.path().join("filler")).unwrap();
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent under test may still hold files.
        let _gone_with_the_test = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(args: &[&str], path: &Path) -> bool {
    Command::new("mount").args(args).arg(path).stderr(std::process::Stdio::null()).status().unwrap().success()
}

fn config_of(disk: &Disk, min_free_bytes: u64) -> Config {
    Config { min_free_bytes, ..config(&disk.path().join("state")) }
}

async fn refused(conn: &mut Conn, job: JobId) -> Refuse {
    loop {
        match conn.hear().await {
            ToBroker::Refuse(refuse) if refuse.job == job => return refuse,
            ToBroker::Fact(fact) => conn.ack_fact(&fact),
            ToBroker::Ack(_) | ToBroker::Reconciled { .. } => {}
            other => panic!("not a refusal: {other:?}"),
        }
    }
}

async fn prints(conn: &mut Conn, open: Open, document: &[u8]) {
    let packets = u32::try_from(document.len().div_ceil(16_000)).unwrap();
    let transfer = conn.open(open);
    for first in (0..packets).step_by(4) {
        let end = (first + 4).min(packets);
        conn.send(transfer, document, 16_000, first..end).await;
        if packets > 4 {
            conn.acked(end).await;
        }
    }
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_document_without_room_is_refused_and_taken_when_there_is_some() {
    let disk = Disk::new("4m");
    let (mut broker, printer) = (Broker::start().await, Printer::ready());
    let config = config_of(&disk, 1024 * 1024);
    broker.pair(&config.state_dir).await;
    let (_agent, _stop) = agent_with(config, &printer, 0).await;
    let (mut conn, _) = broker.session().await;
    let document = poster(6_000_000);
    let first = open(1, &document);
    conn.open(first.clone());
    assert_eq!(refused(&mut conn, first.job).await.reason, RefuseReason::DiskFull);
    prints(&mut conn, open(2, b"label"), b"label").await;
    disk.resize("32m");
    prints(&mut conn, Open { attempt: Attempt(2), ..first }, &document).await;
    assert_eq!(printer.came_out(), [b"label".to_vec(), document]);
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_disk_that_fills_up_meanwhile_ends_neither_the_agent_nor_its_ledger() {
    let disk = Disk::new("8m");
    let (mut broker, printer) = (Broker::start().await, Printer::ready());
    let config = config_of(&disk, 0);
    broker.pair(&config.state_dir).await;
    let (agent, stop) = agent_with(config.clone(), &printer, 0).await;
    let (mut conn, _) = broker.session().await;
    let (document, label) = (poster(1_000_000), poster(60_000));
    let large = open(1, &document);
    let transfer = conn.open(large.clone());
    conn.send(transfer, &document, 16_000, 0..4).await;
    conn.acked(4).await;
    disk.fill();
    conn.send(transfer, &document, 16_000, 4..8).await;
    assert_eq!(refused(&mut conn, large.job).await.reason, RefuseReason::DiskFull);
    // What the document took is free again: that goes too, and then labels do not fit into the ledger.
    disk.fill();
    let mut taken = Vec::new();
    let full = loop {
        let next = open(10 + taken.len() as u128, &label);
        let transfer = conn.open(next.clone());
        conn.send(transfer, &label, 16_000, 0..4).await;
        match ended(&mut conn, next.job).await {
            None => taken.push(label.clone()),
            Some(refuse) => {
                assert_eq!(refuse.reason, RefuseReason::DiskFull);
                break next;
            }
        }
    };
    disk.empty();
    // Room again: both go on with a new attempt, on the same ledger.
    prints(&mut conn, Open { attempt: Attempt(2), ..full }, &label).await;
    prints(&mut conn, Open { attempt: Attempt(2), ..large.clone() }, &document).await;
    taken.extend([label, document]);
    assert_eq!(printer.came_out(), taken);
    stop.cancel();
    agent.stopped().await.unwrap();
    drop(conn);
    let (_agent, _stop) = agent_with(config, &printer, 0).await;
    let (mut conn, hello) = broker.session().await;
    assert!(hello.transfers.is_empty(), "{hello:?}");
    conn.open(Open { attempt: Attempt(2), ..large.clone() });
    assert_eq!(refused(&mut conn, large.job).await.reason, RefuseReason::Known);
}

/// How a label ended: none when printed, else the refusal.
async fn ended(conn: &mut Conn, job: JobId) -> Option<Refuse> {
    loop {
        match conn.hear().await {
            ToBroker::Refuse(refuse) if refuse.job == job => return Some(refuse),
            ToBroker::Fact(fact) => {
                conn.ack_fact(&fact);
                if matches!(fact.fact, Fact::Completed { .. }) && fact.job == job {
                    return None;
                }
            }
            ToBroker::Ack(_) | ToBroker::Reconciled { .. } | ToBroker::Refuse(_) => {}
            other => panic!("not an end: {other:?}"),
        }
    }
}
