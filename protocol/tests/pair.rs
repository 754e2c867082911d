//! Two sides of a transfer, joined by queues in memory: cut anywhere, acks lost, repeated and out of order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::VecDeque;

use inkwire_protocol::ids::{Attempt, Epoch, FactSeq, JobId, PrinterNumber, Sha256Digest, TransferId};
use inkwire_protocol::job::{Event, FactKind, Standing, State, Step, step};
use inkwire_protocol::limits::{INITIAL_CREDIT_BYTES, MAX_WINDOW_BYTES};
use inkwire_protocol::message::{Ack, ToBroker};
use inkwire_protocol::packet::Header;
use inkwire_protocol::session::fence;
use inkwire_protocol::transfer::{
    AckEffect, Channels, Layout, PacketVerdict, Plan, Receiver, Sender, Violation,
};
use proptest::prelude::*;

const PACKET: u32 = 1024;
const PRINTER: PrinterNumber = PrinterNumber(2);

fn document(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

/// What the receiver's disk holds: a crash keeps what was synced.
#[derive(Default, Clone)]
struct Disk {
    written: Vec<u8>,
    synced_packets: u32,
}

/// What a connection did.
struct Run {
    /// For each packet, how often it was sent in all connections.
    sent: Vec<u32>,
    /// Packets below this were acked, whether or not the ack arrived.
    acked: u32,
    /// The largest number of packets on their way at once.
    most_in_flight: u32,
}

/// How a connection behaves.
#[derive(Clone, Copy)]
struct Conduct {
    /// Cut when the receiver has taken so many packets; none for never.
    cut_after: Option<u32>,
    /// Sync when so many packets have gathered.
    sync_every: u32,
    /// The window that the receiver grants, in packets.
    window: u32,
    /// Every second ack is lost on the way.
    lose_acks: bool,
}

/// One connection from `disk.synced_packets` on, until everything is durable or the cut.
fn connect(document: &[u8], layout: Layout, disk: &mut Disk, run: &mut Run, conduct: Conduct) -> bool {
    let transfer = TransferId(1);
    let mut sender = Sender::new(layout, disk.synced_packets, true);
    let mut receiver = Receiver::new(layout, disk.synced_packets);
    let mut wire: VecDeque<Vec<u8>> = VecDeque::new();
    let mut acks: VecDeque<(u32, u32)> = VecDeque::new();
    let (mut taken, mut told) = (0, 0);
    loop {
        while let Plan::Packet(slice) = sender.next() {
            assert!(slice.seq >= run.acked, "packet {} was acked and is sent again", slice.seq);
            let data = &document[slice.offset as usize..][..slice.len as usize];
            let mut message = Header::over(transfer, PRINTER, slice.seq, slice.last, data).encode().to_vec();
            message.extend_from_slice(data);
            wire.push_back(message);
            sender.on_sent();
            run.sent[slice.seq as usize] += 1;
            run.most_in_flight = run.most_in_flight.max(sender.in_flight());
        }
        if let Some(message) = wire.pop_front() {
            if conduct.cut_after == Some(taken) {
                return false;
            }
            let (header, data) = Header::decode(&message).unwrap();
            let PacketVerdict::Write { offset, last } = receiver.on_packet(&header, data.len()).unwrap();
            assert_eq!(offset as usize, disk.written.len());
            disk.written.extend_from_slice(data);
            taken += 1;
            if last || receiver.received() - receiver.durable() >= conduct.sync_every {
                disk.synced_packets = receiver.received();
                let credit = receiver.on_synced(receiver.received(), conduct.window);
                run.acked = receiver.durable();
                told += 1;
                if !conduct.lose_acks || told % 2 == 0 || last {
                    acks.push_back((receiver.durable(), credit));
                }
            }
            continue;
        }
        match acks.pop_front() {
            Some((next_seq, credit)) => match sender.on_ack(next_seq, credit).unwrap() {
                AckEffect::Complete => return true,
                AckEffect::Moved | AckEffect::Stale => {}
            },
            // Acks were lost and nothing moves any more: a real shell would find the path dead.
            None if sender.is_complete() => return true,
            None => return false,
        }
    }
}

/// Connects until the document is there, with the first connection cut.
fn deliver(bytes: usize, first: Conduct, crash: bool) -> (Run, Layout) {
    let document = document(bytes);
    let layout = Layout::new(bytes as u64, PACKET).unwrap();
    let mut disk = Disk::default();
    let mut run = Run { sent: vec![0; layout.packets() as usize], acked: 0, most_in_flight: 0 };
    let mut conduct = first;
    for _ in 0..1000 {
        if connect(&document, layout, &mut disk, &mut run, conduct) {
            assert_eq!(disk.written.len(), bytes);
            assert_eq!(Sha256Digest::of(&disk.written), Sha256Digest::of(&document));
            return (run, layout);
        }
        if !crash && conduct.cut_after.is_some() {
            // The connection went, the process lives: what was written gets synced after all, before `hello`.
            disk.synced_packets = (disk.written.len() as u64).div_ceil(u64::from(PACKET)) as u32;
            run.acked = disk.synced_packets;
        }
        let keep = layout.bytes_below(disk.synced_packets) as usize;
        disk.written.truncate(keep);
        conduct = Conduct { cut_after: None, ..first };
    }
    panic!("it never arrived");
}

#[test]
fn a_cut_after_any_packet_costs_at_most_one_window() {
    for bytes in [0, 1, 1024, 1025, 3000, 200_000] {
        let packets = Layout::new(bytes as u64, PACKET).unwrap().packets();
        for cut in 0..packets {
            for (window, sync_every, crash, lose_acks) in
                [(16, 4, true, false), (16, 1, false, false), (100, 30, true, false), (100, 8, true, true)]
            {
                let conduct = Conduct { cut_after: Some(cut), sync_every, window, lose_acks };
                let (run, layout) = deliver(bytes, conduct, crash);
                let window = window.max(layout.packets_in(INITIAL_CREDIT_BYTES));
                let again: u32 = run.sent.iter().map(|sent| sent - 1).sum();
                assert!(run.most_in_flight <= window, "{} on their way", run.most_in_flight);
                if !lose_acks {
                    assert!(
                        again <= window,
                        "cut after {cut} of {packets}: {again} sent twice, window {window}"
                    );
                    assert!(run.sent.iter().all(|&sent| (1..=2).contains(&sent)));
                }
            }
        }
    }
}

#[test]
fn without_a_cut_nothing_is_sent_twice() {
    for lose_acks in [false, true] {
        let conduct = Conduct { cut_after: None, sync_every: 3, window: 70, lose_acks };
        let (run, _) = deliver(300_000, conduct, false);
        assert!(run.sent.iter().all(|&sent| sent == 1));
    }
}

#[test]
fn a_receiver_takes_nothing_but_the_next_packet_inside_the_window() {
    let layout = Layout::new(200_000, PACKET).unwrap();
    let header = |seq, last| Header { transfer: TransferId(1), printer: PRINTER, seq, last, crc32c: 0 };
    let mut receiver = Receiver::new(layout, 0);
    let violation =
        |receiver: &Receiver, header: Header, len| receiver.clone().on_packet(&header, len).unwrap_err();
    assert_eq!(violation(&receiver, header(1, false), 1024), Violation::OutOfOrder { got: 1, expected: 0 });
    assert!(matches!(violation(&receiver, header(0, false), 1023), Violation::WrongSize { .. }));
    assert!(matches!(violation(&receiver, header(0, true), 1024), Violation::WrongSize { .. }));
    for seq in 0..64 {
        assert!(receiver.expects_data());
        let PacketVerdict::Write { offset, last } = receiver.on_packet(&header(seq, false), 1024).unwrap();
        assert_eq!((offset, last), (u64::from(seq) * 1024, false));
    }
    assert!(!receiver.expects_data(), "nothing more was granted");
    assert_eq!(violation(&receiver, header(64, false), 1024), Violation::OutOfWindow { got: 64, limit: 64 });
    assert_eq!(receiver.on_synced(9999, 1), 1, "no more is durable than came");
    assert!(receiver.expects_data() && receiver.durable() == 64);
    assert_eq!(receiver.on_synced(64, u32::MAX), layout.packets() - 64);
}

#[test]
fn no_grant_makes_more_than_the_largest_window_be_on_its_way() {
    let layout = Layout::new(1 << 30, PACKET).unwrap();
    let mut sender = Sender::new(layout, 0, true);
    assert_eq!(sender.on_ack(0, u32::MAX), Ok(AckEffect::Moved));
    while let Plan::Packet(_) = sender.next() {
        sender.on_sent();
    }
    assert_eq!(u64::from(sender.in_flight()) * u64::from(PACKET), MAX_WINDOW_BYTES);
    assert_eq!(sender.on_ack(5000, 1), Err(Violation::AckBeyondSent { next_seq: 5000, sent: 4096 }));
}

#[test]
fn the_last_packet_waits_for_the_permit_and_only_the_last() {
    let layout = Layout::new(2048 + 7, PACKET).unwrap();
    let mut sender = Sender::new(layout, 0, false);
    for seq in 0..2 {
        assert!(matches!(sender.next(), Plan::Packet(slice) if slice.seq == seq && !slice.last));
        sender.on_sent();
    }
    assert_eq!((sender.next(), sender.wants_permit(1)), (Plan::NeedPermit, true));
    sender.permit();
    assert!(matches!(sender.next(), Plan::Packet(slice) if slice.last && slice.len == 7));
    sender.on_sent();
    assert_eq!((sender.next(), sender.wants_permit(9)), (Plan::AllSent, false));
}

#[test]
fn a_packet_of_a_dropped_transfer_is_late_and_not_wrong() {
    let layout = Layout::new(5000, PACKET).unwrap();
    let mut channels = Channels::default();
    channels.open(TransferId(1), Receiver::new(layout, 0)).unwrap();
    channels.close(TransferId(1));
    assert!(channels.find(TransferId(1)).unwrap().is_none());
    channels.open(TransferId(2), Receiver::new(layout, 3)).unwrap();
    assert_eq!(channels.find(TransferId(2)).unwrap().unwrap().received(), 3);
    assert!(channels.find(TransferId(3)).is_err());
}

#[test]
fn an_ack_of_the_session_before_is_fenced_off() {
    let layout = Layout::new(200_000, PACKET).unwrap();
    let late = ToBroker::Ack(Ack { transfer: TransferId(1), next_seq: 60, credit: 64 });
    let mut sender = Sender::new(layout, 40, true);
    sender.on_sent();
    assert!(!fence::counts(&late, Epoch(4), Epoch(5)), "it would ack what this session has not sent");
    let ToBroker::Ack(ack) = late else { unreachable!() };
    assert!(sender.on_ack(ack.next_seq, ack.credit).is_err() && sender.acked() == 40);
}

proptest! {
    #[test]
    fn acks_in_any_order_and_number_only_ever_move_forward(
        order in prop::collection::vec((0..40u32, 0..80u32), 1..200),
    ) {
        let layout = Layout::new(200_000, PACKET).unwrap();
        let mut sender = Sender::new(layout, 0, true);
        let (mut acked, mut limit) = (0, 64);
        for (next_seq, credit) in order {
            while let Plan::Packet(slice) = sender.next() {
                prop_assert!(slice.seq < limit);
                sender.on_sent();
            }
            match sender.on_ack(next_seq, credit) {
                Ok(AckEffect::Stale) => prop_assert!(next_seq <= acked),
                Ok(AckEffect::Moved | AckEffect::Complete) => {
                    prop_assert!(next_seq >= acked);
                    acked = next_seq;
                    limit = limit.max((next_seq + credit).min(layout.packets()));
                }
                Err(violation) => prop_assert!(false, "{violation}"),
            }
            prop_assert_eq!(sender.acked(), acked);
        }
    }

    #[test]
    fn facts_repeated_and_out_of_order_end_the_same(order in prop::collection::vec(0..4usize, 0..30)) {
        let told = [FactKind::Spooled, FactKind::Printing, FactKind::Stopped, FactKind::Completed];
        let mut job = Standing { state: State::Sending, attempt: Attempt(1), may_print: true, request: None };
        let mut last = FactSeq(0);
        for at in order.iter().copied().chain([3]) {
            let fact_seq = FactSeq(at as u32 + 1);
            if fact_seq <= last { continue; }
            last = fact_seq;
            if let Step::Next(next) = step(job, Event::Fact { attempt: Attempt(1), kind: told[at] }) { job = next; }
        }
        prop_assert_eq!(job.state, State::Completed);
    }

    #[test]
    fn a_packet_survives_any_bytes_and_noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((header, data)) = Header::decode(&noise) {
            prop_assert_eq!([&header.encode()[..], data].concat(), noise);
        }
    }

    #[test]
    fn noise_in_text_is_refused_and_never_panics(noise in ".{0,200}") {
        prop_assert!(inkwire_protocol::message::decode::<ToBroker>(&noise).is_err());
        let _: Result<JobId, _> = noise.parse();
    }
}
