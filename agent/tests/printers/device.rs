use std::path::Path;

use inkwire_agent::printers::backend::Outcome;
use inkwire_protocol::message::Witness;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::support::*;

fn fifo(path: &Path) -> String {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    format!("device://{}", path.display())
}

#[tokio::test]
async fn a_fifo_that_nobody_reads_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let (outcome, journal) =
        print(&*backend(fifo(&dir.path().join("lp"))), ZPL, "application/octet-stream").await;
    assert_eq!(reason(&outcome), "connecting-to-device");
    assert!(matches!(outcome, Outcome::NotStarted { .. }) && journal.intents.borrow().is_empty());
}

#[tokio::test]
async fn what_a_reader_gets_is_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let (path, document) = (dir.path().join("lp"), noise(500_000));
    let uri = fifo(&path);
    let mut reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let device = tokio::spawn(async move {
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        got
    });
    let (outcome, journal) = print(&*backend(uri), &document, "application/octet-stream").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Sent, detail: None });
    assert!(device.await.unwrap() == document);
    assert_eq!(*journal.delivered.borrow(), 500_000);
}

#[tokio::test]
async fn a_reader_that_leaves_is_uncertain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lp");
    let uri = fifo(&path);
    let mut reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let device = tokio::spawn(async move { reader.read_exact(&mut [0; 1000]).await.unwrap() });
    let (outcome, _) = print(&*backend(uri), &noise(5_000_000), "application/octet-stream").await;
    assert_eq!(reason(&outcome), "connection-lost");
    assert!(matches!(outcome, Outcome::Uncertain { delivered_bytes: 1000.., .. }), "{outcome:?}");
    device.await.unwrap();
}

#[tokio::test]
async fn a_device_that_cannot_be_polled_takes_bytes_too() {
    let (outcome, _) =
        print(&*backend("device:///dev/null"), &noise(100_000), "application/octet-stream").await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::Sent, detail: None });
}

#[tokio::test]
async fn a_file_is_no_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    std::fs::write(&path, b"data").unwrap();
    let backend = backend(format!("device://{}", path.display()));
    let (outcome, _) = print(&*backend, ZPL, "application/octet-stream").await;
    assert!(format!("{outcome:?}").contains("directory://"), "{outcome:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
    assert_eq!(backend.describe().await.state_reasons, ["connecting-to-device"]);
}
