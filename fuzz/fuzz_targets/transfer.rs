//! A sender against any receiver, and a receiver against any sender.
#![no_main]

use inkwire_fuzz::Feed;
use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::limits::{MAX_OPEN_TRANSFERS, MAX_WINDOW_BYTES};
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::{AckEffect, Channels, Layout, PacketVerdict, Plan, Receiver, Sender};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut feed = Feed(bytes);
    let size = u64::from(feed.number()) * u64::from(feed.byte());
    let Ok(layout) = Layout::new(size, 1024 + feed.number() % 16_384) else { return };
    let first = feed.small();
    sender(&mut feed, Sender::new(layout, first, feed_bit(first)));
    receiver(&mut feed, Receiver::new(layout, first));
    channels(&mut feed);
});

fn feed_bit(number: u32) -> bool {
    number & 1 == 0
}

fn sender(feed: &mut Feed<'_>, mut sender: Sender) {
    let layout = sender.layout();
    let window = layout.packets_in(MAX_WINDOW_BYTES);
    for _ in 0..feed.byte() {
        let acked = sender.acked();
        match feed.byte() % 3 {
            0 => {
                for _ in 0..feed.byte() {
                    let Plan::Packet(slice) = sender.next() else { break };
                    assert!(slice.offset + u64::from(slice.len) <= layout.bytes());
                    assert_eq!(slice.last, slice.seq + 1 == layout.packets());
                    sender.on_sent();
                }
            }
            1 => match sender.on_ack(feed.small(), feed.small()) {
                Ok(AckEffect::Complete) => assert!(sender.is_complete()),
                Ok(AckEffect::Moved | AckEffect::Stale) => {}
                Err(_) => assert_eq!(sender.acked(), acked),
            },
            _ => sender.permit(),
        }
        assert!(sender.acked() >= acked, "an ack goes back");
        assert!(sender.in_flight() <= window, "more than a window is on its way");
    }
}

fn receiver(feed: &mut Feed<'_>, mut receiver: Receiver) {
    let layout = receiver.layout();
    for _ in 0..feed.byte() {
        let (durable, received) = (receiver.durable(), receiver.received());
        match feed.byte() % 3 {
            0 => {
                let seq = if feed.byte() < 200 { received } else { feed.small() };
                let due = layout.slice(seq);
                let len = due.map_or(0, |slice| slice.len as usize);
                let last = due.is_some_and(|slice| slice.last) ^ (feed.byte() == 255);
                let header = Header { transfer: TransferId(1), printer: PrinterNumber(1), seq, last, crc32c: 0 };
                match receiver.on_packet(&header, len) {
                    Ok(PacketVerdict::Write { offset, .. }) => {
                        assert_eq!(offset, layout.bytes_below(received));
                        assert_eq!(receiver.received(), received + 1);
                    }
                    Err(_) => assert_eq!(receiver.received(), received),
                }
            }
            1 => {
                let credit = receiver.on_synced(feed.small(), feed.small());
                assert!(receiver.durable().checked_add(credit).is_some_and(|limit| limit <= layout.packets()));
            }
            _ => receiver.set_blocked(feed.byte() & 1 == 1),
        }
        assert!(receiver.durable() >= durable && receiver.durable() <= receiver.received());
        let window = layout.packets_in(MAX_WINDOW_BYTES);
        assert!(receiver.received() - receiver.durable() <= window, "more than a window was taken");
    }
}

fn channels(feed: &mut Feed<'_>) {
    let mut channels = Channels::default();
    while !feed.is_empty() {
        let id = TransferId(feed.small());
        match feed.byte() % 3 {
            0 => drop(channels.open(id, ())),
            1 => drop(channels.find(id).map(|found| found.is_some())),
            _ => drop(channels.close(id)),
        }
        assert!(channels.len() <= MAX_OPEN_TRANSFERS);
    }
}
