use super::*;
use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::printer::{Delivery, JobOptions};

fn job(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}

fn wanted(n: u128, printer: u16, priority: u8, packets: u64, permitted: bool) -> OpenTransfer {
    let open = Open {
        transfer: TransferId(0),
        job: job(n),
        attempt: Attempt(1),
        printer: PrinterNumber(printer),
        bytes: packets * 1024,
        packet_bytes: 1024,
        next_seq: 0,
        sha256: Sha256Digest::of(b""),
        format: "text/plain".into(),
        title: String::new(),
        delivery: Delivery::Spool,
        qty: 1,
        options: JobOptions::default(),
        priority,
        accepted_ms: 0,
        expires_ms: None,
        pacing_bytes_s: None,
    };
    OpenTransfer { open, source: Arc::new(Source::Inline(Bytes::new())), permitted }
}

fn send(outbound: &mut Outbound) -> Option<(u32, u32)> {
    let due = outbound.due()?;
    outbound.sent(due.transfer);
    Some((due.transfer.0, due.slice.seq))
}

fn ack(transfer: u32, next_seq: u32, credit: u32) -> Ack {
    Ack { transfer: TransferId(transfer), next_seq, credit }
}

#[test]
fn printers_take_turns_and_priority_goes_first_within_one() {
    let mut outbound = Outbound::default();
    for (n, printer, priority) in [(1, 1, 50), (2, 2, 50), (3, 2, 90), (4, 2, 90)] {
        outbound.open(wanted(n, printer, priority, 2, true)).unwrap();
    }
    let order: Vec<_> = std::iter::from_fn(|| send(&mut outbound)).collect();
    assert_eq!(order, [(1, 0), (3, 0), (1, 1), (3, 1), (4, 0), (4, 1), (2, 0), (2, 1)]);
    assert!(!outbound.has_due() && outbound.owes_ack());
}

#[test]
fn the_last_packet_waits_for_its_permit_which_is_asked_for_once_and_ahead() {
    let mut outbound = Outbound::default();
    let packets = u64::from(PERMIT_AHEAD_PACKETS) + 1;
    outbound.open(wanted(1, 1, 50, packets, false)).unwrap();
    assert_eq!(outbound.permits_wanted(), []);
    send(&mut outbound).unwrap();
    assert_eq!(outbound.permits_wanted(), [(job(1), Attempt(1))]);
    assert_eq!(outbound.permits_wanted(), []);
    while send(&mut outbound).is_some() {}
    outbound.permit(job(1), Attempt(2));
    assert!(!outbound.has_due());
    outbound.permit(job(1), Attempt(1));
    assert_eq!(send(&mut outbound), Some((1, PERMIT_AHEAD_PACKETS)));
}

#[test]
fn acks_move_credit_and_end_the_transfer() {
    let mut outbound = Outbound::default();
    outbound.open(wanted(1, 1, 50, 100, true)).unwrap();
    let sent = std::iter::from_fn(|| send(&mut outbound)).count();
    assert_eq!(sent, 64, "the initial credit");
    let received = outbound.ack(ack(1, 64, 100)).unwrap().unwrap();
    assert_eq!(received.bytes, 64 * 1024);
    assert_eq!(outbound.ack(ack(1, 60, 10)), Ok(None));
    while send(&mut outbound).is_some() {}
    assert_eq!(outbound.ack(ack(1, 100, 0)).unwrap().unwrap().bytes, 100 * 1024);
    assert!(!outbound.is_open(TransferId(1)) && !outbound.owes_ack());
    assert_eq!(outbound.ack(ack(1, 100, 0)), Ok(None), "old news");
}

#[test]
fn nonsense_is_a_violation() {
    let mut outbound = Outbound::default();
    outbound.open(wanted(1, 1, 50, 4, true)).unwrap();
    assert!(matches!(outbound.ack(ack(2, 0, 0)), Err(Violation::NeverOpened { .. })));
    assert!(matches!(outbound.ack(ack(0, 0, 0)), Err(Violation::NeverOpened { .. })));
    assert!(matches!(outbound.ack(ack(1, 1, 0)), Err(Violation::AckBeyondSent { .. })));
}

#[test]
fn a_dropped_or_reopened_attempt_sends_nothing_more() {
    let mut outbound = Outbound::default();
    outbound.open(wanted(1, 1, 50, 4, true)).unwrap();
    assert_eq!(outbound.open(wanted(1, 1, 50, 4, true)).unwrap().transfer, TransferId(2));
    assert_eq!(send(&mut outbound), Some((2, 0)));
    outbound.drop_attempt(job(1), Attempt(1));
    assert!(!outbound.has_due() && !outbound.owes_ack());
}

#[test]
fn a_slow_source_is_told_once_a_packet() {
    let mut outbound = Outbound::default();
    outbound.open(wanted(1, 1, 50, 4, true)).unwrap();
    assert_eq!(outbound.source_slow(TransferId(1)), Some(BlockedReason::SourceNotReady));
    assert_eq!(outbound.source_slow(TransferId(1)), None);
    outbound.sent(TransferId(1));
    assert_eq!(outbound.source_slow(TransferId(1)), Some(BlockedReason::SourceNotReady));
}

#[test]
fn so_many_are_open_at_once() {
    let mut outbound = Outbound::default();
    for n in 0..MAX_OPEN_TRANSFERS {
        outbound.open(wanted(n as u128, 1, 50, 1, true)).unwrap();
    }
    assert_eq!(outbound.open(wanted(9999, 1, 50, 1, true)), Err(OpenError::TooMany));
}
