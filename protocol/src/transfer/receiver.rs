//! The side that wants the document.

use super::{Layout, Violation};
use crate::limits::{INITIAL_CREDIT_BYTES, MAX_WINDOW_BYTES};
use crate::packet::Header;

/// The receiver's place in a transfer on one connection.
#[derive(Debug, Clone)]
pub struct Receiver {
    layout: Layout,
    /// The next packet that is due.
    next: u32,
    /// Every packet below is on stable storage.
    durable: u32,
    /// The first packet not granted.
    limit: u32,
    /// The sender said that it has credit but nothing to send.
    blocked: bool,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PacketVerdict {
    /// Write its data at this offset.
    Write {
        /// Where in the document.
        offset: u64,
        /// Whether it was the last.
        last: bool,
    },
}

impl Receiver {
    /// Begins at `next_seq`: 0, or the longest durable prefix.
    pub fn new(layout: Layout, next_seq: u32) -> Self {
        let next = next_seq.min(layout.packets());
        let limit = next.saturating_add(layout.packets_in(INITIAL_CREDIT_BYTES)).min(layout.packets());
        Self { layout, next, durable: next, limit, blocked: false }
    }

    /// Takes a packet: it must be the next one, inside the window, and of the size that the layout says.
    pub fn on_packet(&mut self, header: &Header, data_len: usize) -> Result<PacketVerdict, Violation> {
        let seq = header.seq;
        if seq != self.next {
            return Err(Violation::OutOfOrder { got: seq, expected: self.next });
        }
        let slice = match self.layout.slice(seq) {
            Some(slice) if seq < self.limit => slice,
            _ => return Err(Violation::OutOfWindow { got: seq, limit: self.limit }),
        };
        if data_len != slice.len as usize || header.last != slice.last {
            return Err(Violation::WrongSize { seq, got: data_len, expected: slice.len, last: header.last });
        }
        self.next += 1;
        self.blocked = false;
        Ok(PacketVerdict::Write { offset: slice.offset, last: slice.last })
    }

    /// Everything below `next_seq` is on stable storage, and the sender may have `window` packets on their way.
    /// Returns the credit that goes into the ack. What was granted is never taken back.
    pub fn on_synced(&mut self, next_seq: u32, window: u32) -> u32 {
        self.durable = self.durable.max(next_seq.min(self.next));
        let window = window.min(self.layout.packets_in(MAX_WINDOW_BYTES));
        let limit = self.durable.saturating_add(window).min(self.layout.packets());
        self.limit = self.limit.max(limit);
        self.limit - self.durable
    }

    /// The sender has credit but nothing to send (`blocked`), or has again (`unblocked`).
    pub fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Whether silence would be suspicious: there is credit that the sender has not used and no reason given.
    pub fn expects_data(&self) -> bool {
        self.next < self.limit && !self.blocked
    }

    /// Every packet below is on stable storage.
    pub fn durable(&self) -> u32 {
        self.durable
    }

    /// Every packet below has arrived.
    pub fn received(&self) -> u32 {
        self.next
    }

    /// Whether every packet has arrived.
    pub fn is_received(&self) -> bool {
        self.next == self.layout.packets()
    }

    /// Whether every packet is on stable storage.
    pub fn is_durable(&self) -> bool {
        self.durable == self.layout.packets()
    }

    /// How the document is cut.
    pub fn layout(&self) -> Layout {
        self.layout
    }
}
