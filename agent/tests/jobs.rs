//! The agent against a broker's end over real TLS: documents in, facts out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "an integration test: whatever else comes is a failure"
)]

mod common;

use common::printer::{Printer, Script};
use common::*;
use inkwire_agent::printers::backend::{Outcome, Recovery};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{Attempt, PrinterNumber, Sha256Digest};
use inkwire_protocol::job::Request;
use inkwire_protocol::message::*;
use inkwire_protocol::printer::Delivery;

async fn refused(conn: &mut Conn) -> Refuse {
    loop {
        match conn.hear().await {
            ToBroker::Refuse(refuse) => return refuse,
            ToBroker::Ack(_) | ToBroker::Reconciled { .. } | ToBroker::Fact(_) => {}
            other => panic!("not a refusal: {other:?}"),
        }
    }
}

fn ask(open: &Open, request: Request) -> ToAgent {
    ToAgent::Request { job: open.job, attempt: open.attempt, request }
}

#[tokio::test]
async fn a_label_is_acked_spooled_printed_and_never_printed_again() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (agent, stop) = agent(dir.path(), &printer).await;
    let (mut conn, hello) = broker.session().await;
    assert_eq!((hello.printers.len(), hello.printers[0].number), (1, PrinterNumber(1)));
    let label = open(1, b"^XA^XZ");
    conn.label(label.clone(), b"^XA^XZ").await;
    assert_eq!(conn.acked(1).await.next_seq, 1);
    for expected in ["Spooled", "Printing", "Completed"] {
        let fact = conn.fact().await;
        assert!(format!("{:?}", fact.fact).starts_with(expected), "{fact:?}");
        assert_eq!((fact.job, fact.attempt), (label.job, Attempt(1)));
        if let Fact::Completed { sha256, delivered_bytes, .. } = fact.fact {
            assert_eq!((sha256, delivered_bytes), (Some(label.sha256), 6));
        }
    }
    // The same attempt is offered again: the outcome is told again.
    conn.open(label.clone());
    assert_eq!(refused(&mut conn).await.reason, RefuseReason::Known);
    assert!(matches!(conn.fact().await.fact, Fact::Completed { .. }));
    assert_eq!(printer.came_out(), [b"^XA^XZ"]);
    stop.cancel();
    agent.stopped().await.unwrap();
    conn.gone().await;
}

#[tokio::test]
async fn a_cut_transfer_goes_on_at_the_next_packet_on_the_next_connection() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let document = poster(1_000_000);
    let packets = 1_000_000_u32.div_ceil(16_000);
    let (mut conn, _) = broker.session().await;
    let transfer = conn.open(open(1, &document));
    conn.send(transfer, &document, 16_000, 0..20).await;
    conn.acked(20).await;
    drop(conn);

    let (mut conn, hello) = broker.session().await;
    let held = hello.transfers[0];
    assert_eq!((hello.transfers.len(), held.next_seq, held.packet_bytes), (1, 20, 16_000));
    let transfer = conn.open(Open { next_seq: 20, ..open(1, &document) });
    assert_eq!(conn.acked(20).await.next_seq, 20);
    conn.send(transfer, &document, 16_000, 20..packets).await;
    conn.acked(packets).await;
    assert!(
        matches!(conn.outcome().await, Fact::Completed { sha256, .. } if sha256 == Some(Sha256Digest::of(&document)))
    );
    assert_eq!(printer.came_out(), [document]);
}

#[tokio::test]
async fn a_killed_agent_goes_on_where_its_disk_says_and_damage_is_told() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let document = poster(1_000_000);
    let (first, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    for job in [1, 2] {
        let transfer = conn.open(open(job, &document));
        conn.send(transfer, &document, 16_000, 0..10).await;
        conn.acked(10).await;
    }
    drop(first); // Nothing is tidied up: as good as killed.

    let damaged = open(2, &document);
    let path = dir.path().join("spool").join(format!("{}-1.part", damaged.job));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (_second, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, hello) = broker.session().await;
    assert_eq!(hello.transfers.iter().map(|held| held.next_seq).collect::<Vec<_>>(), [10]);
    let fact = conn.fact().await;
    assert!(fact.job == damaged.job && matches!(fact.fact, Fact::Corrupt { .. }), "{fact:?}");
    let transfer = conn.open(Open { next_seq: 10, ..open(1, &document) });
    conn.send(transfer, &document, 16_000, 10..63).await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
    assert_eq!(printer.came_out(), [document]);
}

#[tokio::test]
async fn requests_are_answered_by_facts() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::gated());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    // The first job occupies the printer; the others wait behind it.
    let [first, second, third] = [1, 2, 3].map(|job| open(job, b"x"));
    for open in [&first, &second, &third] {
        conn.label(open.clone(), b"x").await;
        assert_eq!(conn.fact().await.fact, Fact::Spooled);
    }
    conn.say(&ask(&second, Request::Hold));
    assert_eq!(conn.fact().await.fact, Fact::Held);
    conn.say(&ask(&third, Request::Cancel));
    assert_eq!(conn.fact().await.fact, Fact::Canceled);
    conn.say(&ask(&first, Request::Expire));
    assert_eq!(conn.fact().await.fact, Fact::Expired);
    // Something that never came is canceled with certainty, and then known.
    let never = open(4, b"x");
    conn.say(&ask(&never, Request::Cancel));
    assert_eq!(conn.fact().await.fact, Fact::Canceled);
    conn.label(never, b"x").await;
    assert_eq!(refused(&mut conn).await.reason, RefuseReason::Known);

    conn.say(&ask(&second, Request::Release));
    printer.gate.add_permits(1);
    assert!(matches!(conn.outcome().await, Fact::Canceled), "the repeated fact of the job that never came");
    let mut facts = Vec::new();
    while facts.len() < 3 {
        let fact = conn.fact().await;
        assert_eq!(fact.job, second.job);
        facts.push(fact.fact);
    }
    assert!(matches!(facts[..], [Fact::Spooled, Fact::Printing, Fact::Completed { .. }]), "{facts:?}");
    assert_eq!(printer.came_out().len(), 1);
}

#[tokio::test]
async fn after_a_crash_the_device_is_asked_and_finished_copies_are_not_repeated() {
    let (dir, mut broker) = (tempfile::tempdir().unwrap(), Broker::start().await);
    broker.pair(dir.path()).await;
    let printer = Printer::ready();
    *printer.scripts.lock().unwrap() = vec![Script::Hang, Script::Print];
    let (first, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    conn.label(Open { qty: 3, ..open(1, b"x") }, b"x").await;
    for _ in 0..2 {
        printer.begun.acquire().await.unwrap().forget();
    }
    drop((first, conn));

    // The second copy did not start, says the device.
    let (second, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let Fact::Completed { delivered_bytes, .. } = conn.outcome().await else { panic!("not completed") };
    assert_eq!((delivered_bytes, printer.came_out().len()), (3, 3));
    assert_eq!(*printer.recovered.lock().unwrap(), [serde_json::json!({ "copy": 2 })]);

    // The next one is nobody's guess.
    printer.scripts.lock().unwrap().push(Script::Hang);
    let (reason, detail) = ("agent-restarted".to_owned(), "who knows".to_owned());
    *printer.recovery.lock().unwrap() =
        Recovery::Decided(Outcome::Uncertain { reason: reason.clone(), detail, delivered_bytes: 1 });
    conn.label(open(2, b"y"), b"y").await;
    while printer.begun.available_permits() < 3 {
        tokio::task::yield_now().await;
    }
    drop((second, conn));
    let (_third, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let outcome = conn.outcome().await;
    assert!(matches!(&outcome, Fact::Uncertain { reason: told, .. } if *told == reason), "{outcome:?}");
    // A human wants it again: a new attempt is taken, for the old one is decided.
    conn.label(Open { attempt: Attempt(2), ..open(2, b"y") }, b"y").await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
    assert_eq!(printer.came_out().len(), 4);
}

#[tokio::test]
async fn a_busy_printer_is_waited_for_and_a_late_job_expires_unprinted() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    printer.scripts.lock().unwrap().push(Script::Busy);
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    conn.label(open(1, b"x"), b"x").await;
    assert_eq!(conn.fact().await.fact, Fact::Spooled);
    assert!(matches!(conn.fact().await.fact, Fact::Stopped { .. }));
    assert_eq!(conn.fact().await.fact, Fact::Printing);
    assert!(matches!(conn.fact().await.fact, Fact::Completed { .. }));
    conn.label(Open { expires_ms: Some(now_ms() - 1), ..open(2, b"y") }, b"y").await;
    assert_eq!(conn.outcome().await, Fact::Expired);
    assert_eq!(printer.came_out(), [b"x"]);
}

#[tokio::test]
async fn a_stream_prints_as_it_comes_and_a_gap_that_is_too_long_is_uncertain() {
    let (dir, mut broker) = (tempfile::tempdir().unwrap(), Broker::start().await);
    broker.pair(dir.path()).await;
    let hold_open = Some(std::time::Duration::from_millis(1500));
    let gate = tokio::sync::Semaphore::new(9);
    let printer = std::sync::Arc::new(Printer { streams: true, hold_open, gate, ..Printer::new() });
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let document = poster(400_000);
    let stream = |job| Open { delivery: Delivery::Stream, ..open(job, &document) };
    let (mut conn, _) = broker.session().await;
    let transfer = conn.open(stream(1));
    conn.send(transfer, &document, 16_000, 0..5).await;
    // The device has its first bytes before the last packet has left.
    assert_eq!(conn.fact().await.fact, Fact::Printing);
    drop(conn);
    let (mut conn, hello) = broker.session().await;
    let next_seq = hello.transfers[0].next_seq;
    let transfer = conn.open(Open { next_seq, ..stream(1) });
    conn.send(transfer, &document, 16_000, next_seq..25).await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
    assert_eq!(printer.came_out(), std::slice::from_ref(&document));

    let transfer = conn.open(stream(2));
    conn.send(transfer, &document, 16_000, 0..4).await;
    let Fact::Uncertain { reason, delivered_bytes, .. } = conn.outcome().await else {
        panic!("not uncertain")
    };
    assert_eq!((reason.as_str(), delivered_bytes), ("device-timeout", 64_000));
}

#[tokio::test]
async fn no_room_no_printer_and_wrong_bytes_have_their_own_answers() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let config = inkwire_agent::Config { min_free_bytes: u64::MAX / 2, ..config(dir.path()) };
    let (first, _stop) = agent_with(config, &printer, 0).await;
    let (mut conn, _) = broker.session().await;
    conn.open(open(1, &poster(100_000)));
    assert_eq!(refused(&mut conn).await.reason, RefuseReason::DiskFull);
    conn.open(Open { printer: PrinterNumber(9), ..open(1, b"x") });
    assert_eq!(refused(&mut conn).await.reason, RefuseReason::NoSuchPrinter);
    drop((first, conn));

    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    conn.label(Open { sha256: Sha256Digest::of(b"other"), ..open(2, b"x") }, b"x").await;
    assert!(matches!(conn.outcome().await, Fact::Corrupt { .. }));
    let document = poster(100_000);
    let transfer = conn.open(Open { sha256: Sha256Digest::of(b"other"), ..open(3, &document) });
    conn.send(transfer, &document, 16_000, 0..7).await;
    assert!(matches!(conn.outcome().await, Fact::Corrupt { .. }));
    assert!(printer.came_out().is_empty());
}

/// Copies a state directory as a backup would.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, entry) = (entry.as_ref().unwrap().path(), entry.as_ref().unwrap().file_name());
        if path.is_dir() {
            copy(&path, &to.join(entry));
        } else {
            std::fs::copy(&path, to.join(entry)).unwrap();
        }
    }
}

#[tokio::test]
async fn an_old_copy_of_the_spool_prints_nothing_however_often_it_is_told() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::gated());
    let (state, backup) = (dir.path().join("state"), dir.path().join("backup"));
    broker.pair(&state).await;
    let (first, _stop) = agent(&state, &printer).await;
    let (mut conn, _) = broker.session().await;
    conn.label(open(1, b"x"), b"x").await;
    conn.acked(1).await;
    copy(&state, &backup);
    printer.gate.add_permits(1);
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
    drop((first, conn));

    // The copy still has the job to print; nothing goes out before the broker has seen it, and then nothing at all.
    printer.gate.add_permits(9);
    let (_second, _stop) = agent(&backup, &printer).await;
    broker.spool_lost = true;
    let (mut conn, _) = broker.session().await;
    let heard = conn.hear().await;
    assert!(
        matches!(heard, ToBroker::Reconciled { .. }),
        "nothing is told of what was thrown away: {heard:?}"
    );
    conn.say(&ToAgent::Drain { retry_after_ms: 1000 });
    conn.socket.close(CloseCode::Draining, "").await;
    drop(conn);
    // The broker has not heard it and marks the next `welcome` too: there is nothing left to throw away.
    let (mut conn, _) = broker.session().await;
    let heard = conn.hear().await;
    assert!(matches!(heard, ToBroker::Reconciled { .. }), "the same answer again: {heard:?}");
    conn.label(open(2, b"y"), b"y").await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
    assert_eq!(printer.came_out(), [b"x", b"y"]);
}
