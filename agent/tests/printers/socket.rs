use inkwire_agent::printers::backend::{DocumentError, Outcome};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::PrinterState;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::support::*;

async fn sink() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("socket://{}", listener.local_addr().unwrap()), listener)
}

async fn take(listener: TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

#[tokio::test]
async fn a_close_after_everything_is_handed_over() {
    for document in [ZPL.to_vec(), ESC_POS.to_vec(), real_pdf(), noise(3_000_000), Vec::new()] {
        let (uri, listener) = sink().await;
        let device = tokio::spawn(async move {
            let mut stream = take(listener).await;
            let mut got = Vec::new();
            stream.write_all(b"~HS status that nobody asked for").await.unwrap();
            stream.read_to_end(&mut got).await.unwrap();
            got
        });
        let (outcome, journal) = print(&*backend(uri), &document, "application/octet-stream").await;
        assert_eq!(outcome, Outcome::Completed { witness: Witness::HandedOver, detail: None });
        assert!(device.await.unwrap() == document, "byte for byte");
        assert_eq!((*journal.delivered.borrow(), journal.intents.borrow().len()), (document.len() as u64, 1));
    }
}

#[tokio::test]
async fn no_close_is_only_sent() {
    let (uri, listener) = sink().await;
    let (done, wait) = oneshot::channel::<()>();
    let device = tokio::spawn(async move {
        let mut stream = take(listener).await;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        wait.await.unwrap();
        got
    });
    let (outcome, _) = print(&*backend(uri), ZPL, "application/octet-stream").await;
    assert!(matches!(outcome, Outcome::Completed { witness: Witness::Sent, .. }), "{outcome:?}");
    done.send(()).unwrap();
    assert_eq!(device.await.unwrap(), ZPL);
}

#[tokio::test]
async fn a_reset_in_the_middle_is_uncertain() {
    let (uri, listener) = sink().await;
    let device = tokio::spawn(async move {
        let mut stream = take(listener).await;
        stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let (outcome, _) = print(&*backend(uri), &noise(4_000_000), "application/octet-stream").await;
    let Outcome::Uncertain { reason, delivered_bytes, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "connection-lost");
    assert!((100_000..4_000_000).contains(&delivered_bytes), "{delivered_bytes}");
    device.await.unwrap();
}

#[tokio::test]
async fn a_device_that_takes_nothing_holds_the_document_back_and_is_told() {
    let (uri, listener) = sink().await;
    let document = noise(20_000_000);
    let (journal, task) = (Recorder::new(), task(document.len(), "application/octet-stream"));
    let (go, wait) = oneshot::channel::<()>();
    let device = tokio::spawn(async move {
        let mut stream = take(listener).await;
        wait.await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        got
    });
    let backend = backend(uri);
    let (mut script, never) = (Script::whole(&document), CancellationToken::new());
    let looked = async {
        journal.until_stopped("device-not-taking-data").await;
        assert!(*journal.delivered.borrow() < 10_000_000, "only the kernels' buffers are full");
        go.send(()).unwrap();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut script, &journal, &never), looked) }).await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::HandedOver, detail: None });
    assert!(device.await.unwrap() == document);
    assert_eq!(journal.stopped.borrow().last(), Some(&vec![]), "it goes on");
}

#[tokio::test]
async fn a_device_that_is_away_is_not_started() {
    let (uri, listener) = sink().await;
    drop(listener);
    let backend = backend(uri);
    assert_eq!(backend.describe().await.state, PrinterState::Unknown);
    let (outcome, journal) = print(&*backend, ZPL, "application/octet-stream").await;
    assert!(matches!(outcome, Outcome::NotStarted { .. }), "{outcome:?}");
    assert_eq!(reason(&outcome), "connecting-to-device");
    assert!(journal.intents.borrow().is_empty());
    assert_eq!(backend.describe().await.state, PrinterState::Unreachable);
}

#[tokio::test]
async fn the_stream_stays_open_over_a_gap() {
    let (uri, listener) = sink().await;
    let document = noise(300_000);
    let (go, wait) = oneshot::channel();
    let rest = document[200_000..].to_vec();
    let device = tokio::spawn(async move {
        let mut stream = take(listener).await;
        let mut got = vec![0; 200_000];
        stream.read_exact(&mut got).await.unwrap();
        go.send(()).unwrap();
        stream.read_to_end(&mut got).await.unwrap();
        got
    });
    let mut script =
        Script::new([Step::Bytes(document[..200_000].to_vec()), Step::Wait(wait), Step::Bytes(rest)]);
    let (mut task, journal) = (task(document.len(), "application/octet-stream"), Recorder::new());
    task.streaming = true;
    let outcome = within(backend(uri).print(&task, &mut script, &journal, &CancellationToken::new())).await;
    assert_eq!(outcome, Outcome::Completed { witness: Witness::HandedOver, detail: None });
    assert!(device.await.unwrap() == document);
}

#[tokio::test]
async fn a_gap_that_lasts_too_long_is_uncertain_at_its_byte() {
    let (uri, listener) = sink().await;
    let device = tokio::spawn(async move {
        let mut stream = take(listener).await;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.map(|_| got.len())
    });
    let gap = Step::Fail(DocumentError::Gap(Duration::from_secs(60)));
    let mut script = Script::new([Step::Bytes(ZPL.to_vec()), gap]);
    let (mut task, journal) = (task(10_000, "application/octet-stream"), Recorder::new());
    task.streaming = true;
    let outcome = within(backend(uri).print(&task, &mut script, &journal, &CancellationToken::new())).await;
    let Outcome::Uncertain { reason, delivered_bytes, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((reason.as_str(), delivered_bytes), ("device-timeout", ZPL.len() as u64));
    assert_eq!(device.await.unwrap().unwrap(), ZPL.len(), "the connection was closed");
}

#[tokio::test]
async fn without_an_intent_no_byte_goes_out() {
    let (uri, listener) = sink().await;
    let device = tokio::spawn(async move {
        let mut got = Vec::new();
        take(listener).await.read_to_end(&mut got).await.unwrap();
        got
    });
    let (journal, task) =
        (Recorder { broken: true, ..Recorder::new() }, task(ZPL.len(), "application/octet-stream"));
    let outcome =
        within(backend(uri).print(&task, &mut Script::whole(ZPL), &journal, &CancellationToken::new())).await;
    assert_eq!(reason(&outcome), "agent-storage-error");
    assert_eq!(device.await.unwrap(), b"");
}

#[tokio::test]
async fn a_cancel_is_certain_only_before_the_first_byte() {
    let (uri, listener) = sink().await;
    let (cancel, journal) = (CancellationToken::new(), Recorder::new());
    let (_hold, wait) = oneshot::channel();
    let mut script = Script::new([Step::Bytes(ZPL.to_vec()), Step::Wait(wait)]);
    let task = task(10_000, "application/octet-stream");
    let backend = backend(uri);
    let canceling = async {
        let _held = take(listener).await;
        journal.until_delivered(ZPL.len() as u64).await;
        cancel.cancel();
    };
    let (outcome, ()) =
        within(async { tokio::join!(backend.print(&task, &mut script, &journal, &cancel), canceling) }).await;
    assert_eq!(reason(&outcome), "canceled-at-device");
    let again = within(backend.print(&task, &mut Script::whole(ZPL), &Recorder::new(), &cancel)).await;
    assert_eq!(again, Outcome::Canceled);
}
