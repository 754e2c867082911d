//! How often jobs moved, and how many packets had to be sent again.

use std::sync::atomic::{AtomicU64, Ordering};

use inkwire_protocol::job::State;

/// Counted since the broker's start.
#[derive(Debug)]
pub(crate) struct JobCounts {
    entered: [(State, AtomicU64); State::ALL.len()],
    sent_twice: AtomicU64,
}

impl Default for JobCounts {
    fn default() -> Self {
        Self { entered: State::ALL.map(|state| (state, AtomicU64::new(0))), sent_twice: AtomicU64::new(0) }
    }
}

impl JobCounts {
    /// A job has come into this state (committed).
    pub(super) fn entered(&self, state: State) {
        if let Some((_, count)) = self.entered.iter().find(|(known, _)| *known == state) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A cut has cost so many packets.
    pub(super) fn sent_twice(&self, packets: u32) {
        self.sent_twice.fetch_add(u64::from(packets), Ordering::Relaxed);
    }

    /// How often each state was entered.
    pub(crate) fn transitions(&self) -> Vec<(State, u64)> {
        self.entered.iter().map(|(state, count)| (*state, count.load(Ordering::Relaxed))).collect()
    }

    /// Packets that were sent and had to be sent again.
    pub(crate) fn packets_sent_twice(&self) -> u64 {
        self.sent_twice.load(Ordering::Relaxed)
    }
}
