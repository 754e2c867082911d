//! What has gone over the two legs, in numbers: one relaxed addition a packet or ack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the broker's start; `open` goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    open: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    acks: AtomicU64,
}

impl Leg {
    /// A packet with so many bytes of a document.
    pub(crate) fn packet(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of a document that came without packets.
    pub(crate) fn inline(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// An ack.
    pub(crate) fn ack(&self) {
        self.acks.fetch_add(1, Ordering::Relaxed);
    }

    /// As many transfers of somebody's are open now as there were `before`, or more, or fewer.
    pub(crate) fn changed(&self, before: usize, now: usize) {
        if now > before {
            self.open.fetch_add((now - before) as u64, Ordering::Relaxed);
        } else if before > now {
            self.open.fetch_sub((before - now) as u64, Ordering::Relaxed);
        }
    }

    /// Transfers that are open.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Packets so far.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes of documents so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Acks so far.
    pub(crate) fn acks(&self) -> u64 {
        self.acks.load(Ordering::Relaxed)
    }
}

/// One transfer that is open; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenTransfer(Arc<Leg>);

impl OpenTransfer {
    /// One more.
    pub(crate) fn on(leg: &Arc<Leg>) -> Self {
        leg.changed(0, 1);
        Self(leg.clone())
    }

    /// Its leg.
    pub(crate) fn leg(&self) -> &Leg {
        &self.0
    }
}

impl Drop for OpenTransfer {
    fn drop(&mut self) {
        self.0.changed(1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_transfers_go_up_and_down() {
        let leg = Leg::default();
        leg.changed(0, 3);
        leg.changed(3, 3);
        leg.changed(3, 1);
        leg.packet(10);
        leg.packet(5);
        leg.inline(1);
        leg.ack();
        let leg = Arc::new(leg);
        drop(OpenTransfer::on(&leg));
        assert_eq!((leg.open(), leg.packets(), leg.bytes(), leg.acks()), (1, 2, 16, 1));
    }
}
