//! The side that has the document.

use super::{Layout, Slice, Violation};
use crate::limits::{INITIAL_CREDIT_BYTES, MAX_WINDOW_BYTES};

/// The sender's place in a transfer on one connection.
#[derive(Debug, Clone)]
pub struct Sender {
    layout: Layout,
    /// The first packet of this connection.
    first: u32,
    /// The next packet to send.
    next: u32,
    /// Every packet below is durable at the receiver.
    acked: u32,
    /// The first packet that the receiver has not granted.
    limit: u32,
    /// Whether the last packet may go.
    permitted: bool,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Plan {
    /// This packet; tell [`Sender::on_sent`] when it is in the socket's hands.
    Packet(Slice),
    /// The last packet is due and needs the permit first.
    NeedPermit,
    /// The window is full.
    NoCredit,
    /// Everything was sent.
    AllSent,
}

/// What an ack changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AckEffect {
    /// More is durable or more may be sent.
    Moved,
    /// Everything is durable at the receiver.
    Complete,
    /// Nothing new: a repeated or an older ack.
    Stale,
}

impl Sender {
    /// Begins at `next_seq`: 0, or what the receiver says is durable. A small credit is there at once, so that a label
    /// waits for no round trip. `permitted` is false where the last packet needs a permit (see the module [`crate::job`]).
    pub fn new(layout: Layout, next_seq: u32, permitted: bool) -> Self {
        let first = next_seq.min(layout.packets());
        let limit = first.saturating_add(layout.packets_in(INITIAL_CREDIT_BYTES)).min(layout.packets());
        Self { layout, first, next: first, acked: first, limit, permitted }
    }

    /// What may be sent now.
    pub fn next(&self) -> Plan {
        match self.layout.slice(self.next) {
            None => Plan::AllSent,
            Some(_) if self.next >= self.limit => Plan::NoCredit,
            Some(slice) if slice.last && !self.permitted => Plan::NeedPermit,
            Some(slice) => Plan::Packet(slice),
        }
    }

    /// The planned packet is in the socket's hands.
    pub fn on_sent(&mut self) {
        if self.next < self.layout.packets() {
            self.next += 1;
        }
    }

    /// The last packet may go.
    pub fn permit(&mut self) {
        self.permitted = true;
    }

    /// Whether the permit will be needed soon (within `packets` of the end) and is not there yet.
    pub fn wants_permit(&self, packets: u32) -> bool {
        !self.permitted && self.layout.packets() - self.next <= packets.max(1)
    }

    /// Takes an ack. Acks only ever move forward; repeated and older ones change nothing. No ack grants more than the
    /// largest window, so that no receiver can make more than that be sent twice.
    pub fn on_ack(&mut self, next_seq: u32, credit: u32) -> Result<AckEffect, Violation> {
        if next_seq > self.next {
            return Err(Violation::AckBeyondSent { next_seq, sent: self.next });
        }
        let credit = credit.min(self.layout.packets_in(MAX_WINDOW_BYTES));
        let limit = next_seq.saturating_add(credit).min(self.layout.packets());
        if next_seq < self.acked || (next_seq == self.acked && limit <= self.limit) {
            return Ok(AckEffect::Stale);
        }
        self.acked = next_seq;
        self.limit = self.limit.max(limit);
        Ok(if self.is_complete() { AckEffect::Complete } else { AckEffect::Moved })
    }

    /// Whether everything is durable at the receiver.
    pub fn is_complete(&self) -> bool {
        self.acked == self.layout.packets()
    }

    /// How the document is cut.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Every packet below is durable at the receiver.
    pub fn acked(&self) -> u32 {
        self.acked
    }

    /// The first packet of this connection.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Packets sent on this connection so far.
    pub fn sent_here(&self) -> u32 {
        self.next - self.first
    }

    /// Packets on their way: sent and not acked. At a cut, this many may be sent twice.
    pub fn in_flight(&self) -> u32 {
        self.next - self.acked
    }

    /// Whether there is credit that is not used up.
    pub fn has_credit(&self) -> bool {
        self.next < self.limit
    }
}
