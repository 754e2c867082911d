//! The agent's connection against a broker's end over real TLS: pairing, dialling, clocks, stalls, violations.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "an integration test: whatever else comes is a failure"
)]

mod common;

use std::time::{Duration, Instant};

use common::printer::Printer;
use common::*;
use inkwire_agent::{Agent, PairError, PairRequest, StartError};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::message::*;
use inkwire_protocol::packet::Header;
use inkwire_protocol::printer::PrinterState;
use inkwire_transport::Closed;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn pairing_shows_a_code_and_a_refusal_leaves_nothing() {
    let (dir, mut broker) = (tempfile::tempdir().unwrap(), Broker::start().await);
    let state_dir = dir.path().join("state");
    let shown = std::sync::Mutex::new(None);
    let request = || PairRequest { url: broker.url.clone(), state_dir: state_dir.clone(), enrolment: None };
    let (first, second) = (request(), request());
    let pairing = inkwire_agent::pair(first, |code| *shown.lock().unwrap() = Some(code.clone()));
    let (paired, ()) = tokio::join!(pairing, async {
        let mut conn = broker.connection().await;
        conn.say_text(&FromPairing::Challenge { nonce: "bm9uY2U".into() });
        let asked = serde_json::from_str(&conn.hear_text().await).unwrap();
        let ToPairing::Pair { public_key, proof, .. } = asked else { panic!("not pair") };
        assert!(public_key.len() == 43 && proof.len() == 86);
        conn.say_text(&FromPairing::Code {
            code: "ABCD-EFGH".into(),
            expires_in_s: 600,
            observed_endpoint: "192.0.2.1:9".parse().unwrap(),
        });
        conn.say_text(&FromPairing::Refused { reason: "nobody knows you".into() });
        conn.gone().await;
    });
    assert!(matches!(paired, Err(PairError::Refused(_))), "{paired:?}");
    assert_eq!(shown.lock().unwrap().as_ref().unwrap().code, "ABCD-EFGH");
    let config = config(&state_dir);
    let started = Agent::start(config.clone(), CancellationToken::new()).await;
    assert!(matches!(started, Err(StartError::Identity(_))), "{started:?}");

    drop(second);
    broker.pair(&state_dir).await;
    let _agent = Agent::start(config.clone(), CancellationToken::new()).await.unwrap();
    let again = Agent::start(config, CancellationToken::new()).await;
    assert!(matches!(again, Err(StartError::Identity(_))), "one process a state directory: {again:?}");
}

#[tokio::test]
async fn a_silent_path_is_noticed_within_three_seconds_while_a_transfer_is_open() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let document = poster(1_000_000);
    let (mut conn, _) = broker.session().await;
    let transfer = conn.open(open(1, &document));
    conn.send(transfer, &document, 16_000, 0..4).await;
    conn.acked(4).await;
    let silent = Instant::now();
    // Held open and not moved any more: no byte, no FIN, no RST.
    let (_next, hello) = broker.session().await;
    let noticed = silent.elapsed();
    assert!(noticed < Duration::from_secs(3), "{noticed:?}");
    assert!(hello.session.is_some() && hello.transfers[0].next_seq == 4);
    drop(conn);
}

#[tokio::test]
async fn a_blocked_sender_is_no_dead_path() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let document = poster(200_000);
    let (mut conn, _) = broker.session().await;
    let transfer = conn.open(open(1, &document));
    conn.send(transfer, &document, 16_000, 0..4).await;
    conn.say(&ToAgent::Blocked { transfer, reason: BlockedReason::Pacing });
    conn.acked(4).await;
    let quiet = tokio::time::timeout(Duration::from_secs(4), broker.connections.recv()).await;
    assert!(quiet.is_err(), "the agent dialled again");
    conn.send(transfer, &document, 16_000, 4..13).await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
}

fn claims(authorization: &str) -> DialClaims {
    use base64::Engine as _;
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let part = token.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_the_refusal() {
    for skew_s in [-86_400, 86_400, -i64::try_from(now_ms() / 1000).unwrap()] {
        let (dir, mut broker, printer) =
            (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
        broker.pair(dir.path()).await;
        let refusal = DialRefused { error: DialError::Clock, detail: "no".into(), broker_time_ms: now_ms() };
        broker.refusals.lock().unwrap().push(serde_json::to_string(&refusal).unwrap());
        let (_agent, _stop) = agent_with(config(dir.path()), &printer, skew_s * 1000).await;
        let (conn, hello) = broker.session().await;
        let (first, second) = (claims(&broker.refused.lock().unwrap()[0]), claims(&conn.authorization));
        assert!(first.iat.abs_diff(now_ms() / 1000) > 80_000, "{first:?}");
        assert!(second.iat.abs_diff(now_ms() / 1000) < 30 && second.n > first.n, "{second:?}");
        assert!(hello.clock_offset_ms.unwrap().abs_diff(-skew_s * 1000) < 30_000);
    }
}

#[tokio::test]
async fn what_the_broker_does_wrong_has_its_close_code() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (agent, stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let transfer = conn.open(open(1, &poster(100_000)));
    // Packet 1 where packet 0 is due.
    conn.send(transfer, &poster(100_000), 16_000, 1..2).await;
    let closed = loop {
        if let inkwire_transport::Ready::Closed(closed) = conn.socket.ready(false).await {
            break closed;
        }
    };
    assert!(matches!(closed, Closed::Said { code: CloseCode::PacketOutOfWindow, .. }), "{closed}");
    stop.cancel();
    agent.stopped().await.unwrap();
}

/// What a broker that attacks says once a document is under way, and the code that it is told.
type Attack = (&'static str, CloseCode, fn(&mut Conn, TransferId, &[u8]));

fn packet(conn: &mut Conn, transfer: TransferId, seq: u32, data: &[u8], damage: u32) {
    let mut header = Header::over(transfer, PrinterNumber(1), seq, false, data);
    header.crc32c ^= damage;
    conn.socket.queue_packet(&header, data).unwrap();
}

const ATTACKS: [Attack; 9] = [
    ("a packet out of order", CloseCode::PacketOutOfWindow, |conn, transfer, document| {
        packet(conn, transfer, 5, &document[80_000..96_000], 0);
    }),
    ("a packet that was acknowledged", CloseCode::PacketOutOfWindow, |conn, transfer, document| {
        packet(conn, transfer, 0, &document[..16_000], 0);
    }),
    ("a damaged packet", CloseCode::PacketDamaged, |conn, transfer, document| {
        packet(conn, transfer, 4, &document[64_000..80_000], 1);
    }),
    ("a packet of another size", CloseCode::ProtocolViolation, |conn, transfer, document| {
        packet(conn, transfer, 4, &document[64_000..64_100], 0);
    }),
    ("a packet that is too large", CloseCode::TooLarge, |conn, transfer, document| {
        packet(conn, transfer, 4, &document[64_000..84_000], 0);
    }),
    ("a packet of a channel that was never opened", CloseCode::ProtocolViolation, |conn, _, document| {
        packet(conn, TransferId(99), 0, &document[..16_000], 0);
    }),
    ("an unknown message", CloseCode::ProtocolViolation, |conn, _, _| {
        conn.say_text(&serde_json::json!({"type": "dance"}));
    }),
    ("a message that is no JSON", CloseCode::ProtocolViolation, |conn, _, _| {
        conn.socket.queue_text("{".to_owned()).unwrap();
    }),
    ("a message that is too large", CloseCode::TooLarge, |conn, _, _| {
        conn.say_text(&serde_json::json!({"type": "drain", "x": "x".repeat(300_000)}));
    }),
];

/// The attack costs the connection and nothing else: an honest broker finishes the document, and it comes out once.
async fn withstands((what, code, attack): Attack) {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let document = poster(200_000);
    let transfer = conn.open(open(1, &document));
    conn.send(transfer, &document, 16_000, 0..4).await;
    conn.acked(4).await;
    attack(&mut conn, transfer, &document);
    let closed = conn.gone().await;
    assert!(
        matches!(closed, Closed::Said { code: said, by_us: false, .. } if said == code),
        "{what}: {closed}"
    );
    assert!(printer.came_out().is_empty(), "{what}: something came out");
    drop(conn);
    let (mut conn, hello) = broker.session().await;
    let held = hello.transfers[0];
    assert_eq!(held.next_seq, 4, "{what}: what was acknowledged is kept, and no more");
    let transfer = conn.open(Open { next_seq: held.next_seq, ..open(1, &document) });
    conn.send(transfer, &document, 16_000, held.next_seq..13).await;
    assert!(matches!(conn.outcome().await, Fact::Completed { .. }), "{what}");
    assert_eq!(printer.came_out(), [document], "{what}: it came out once, as it was submitted");
}

#[tokio::test]
async fn a_broker_that_attacks_loses_its_connection_and_an_honest_one_prints() {
    // Side by side: after its broker's mistake an agent waits for five seconds.
    futures_util::future::join_all(ATTACKS.map(withstands)).await;
}

#[tokio::test]
async fn a_document_that_is_not_what_its_digest_says_is_not_printed() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let (document, label) = (poster(100_000), b"label".as_slice());
    for (job, document) in [(1, document.as_slice()), (2, label)] {
        let wrong = Open { sha256: inkwire_protocol::ids::Sha256Digest::of(b"other"), ..open(job, document) };
        let transfer = conn.open(wrong);
        let packets = u32::try_from(document.len().div_ceil(16_000)).unwrap();
        for first in (0..packets).step_by(4) {
            conn.send(transfer, document, 16_000, first..(first + 4).min(packets)).await;
            if first + 4 < packets {
                conn.acked(first + 4).await;
            }
        }
        let fact = conn.outcome().await;
        assert!(matches!(fact, Fact::Corrupt { .. }), "{fact:?}");
        assert!(printer.came_out().is_empty());
        // The same connection goes on: a new attempt with the right digest is printed.
        let again = Open { attempt: inkwire_protocol::ids::Attempt(2), ..open(job, document) };
        let transfer = conn.open(again);
        for first in (0..packets).step_by(4) {
            conn.send(transfer, document, 16_000, first..(first + 4).min(packets)).await;
            if first + 4 < packets {
                conn.acked(first + 4).await;
            }
        }
        assert!(matches!(conn.outcome().await, Fact::Completed { .. }));
        assert_eq!(printer.out.lock().unwrap().pop().as_deref(), Some(document));
    }
}

#[tokio::test]
async fn facts_are_repeated_until_acknowledged_and_all_of_them_to_a_restored_store() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::ready());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    conn.label(open(1, b"x"), b"x").await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        if let ToBroker::Fact(fact) = conn.hear().await {
            seen.push(fact);
        }
    }
    drop(conn); // none was acknowledged
    let (mut conn, _) = broker.session().await;
    for expected in &seen {
        assert_eq!(&conn.fact().await, expected);
    }
    let heard = conn.hear().await;
    assert_eq!(heard, ToBroker::Reconciled { store_epoch: broker.store_epoch });
    drop(conn);
    broker.store_epoch = inkwire_protocol::ids::StoreEpoch::from_uuid(uuid::Uuid::from_u128(78));
    let (mut conn, _) = broker.session().await;
    let fact = conn.fact().await;
    assert!(matches!(fact.fact, Fact::Completed { .. }), "{fact:?}");
    assert!(matches!(conn.hear().await, ToBroker::Reconciled { .. }));
}

/// The state of the printer in the next report that tells it.
async fn told(conn: &mut Conn) -> PrinterState {
    loop {
        if let ToBroker::Report(report) = serde_json::from_str(&conn.hear_text().await).unwrap() {
            conn.say(&ToAgent::ReportOk(ReportOk {
                seq: report.seq,
                broker_time_ms: now_ms(),
                report_interval_ms: None,
            }));
            if let Some(printers) = report.printers {
                return printers[0].state;
            }
        }
    }
}

#[tokio::test]
async fn a_printer_is_asked_out_of_turn_when_a_job_begins_and_ends() {
    let (dir, mut broker, printer) = (tempfile::tempdir().unwrap(), Broker::start().await, Printer::gated());
    broker.pair(dir.path()).await;
    let (_agent, _stop) = agent(dir.path(), &printer).await;
    let (mut conn, _) = broker.session().await;
    let began = Instant::now();
    conn.label(open(1, b"x"), b"x").await;
    assert_eq!(told(&mut conn).await, PrinterState::Processing);
    printer.gate.add_permits(1);
    assert_eq!(told(&mut conn).await, PrinterState::Idle);
    assert!(began.elapsed() < Duration::from_secs(10), "long before its turn: {:?}", began.elapsed());
}
