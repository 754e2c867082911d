//! What the store has done, in numbers. Observed a commit, never a row or a packet.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Seconds of a commit: from what a memory disk takes to what a dying one does.
const COMMIT_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Callers that share one commit; the writer takes no more than 512.
const COMMIT_CALLERS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Distributions of commits.
#[derive(Debug)]
pub(crate) struct Meters {
    /// How long writing and committing took.
    pub(crate) commit_seconds: Histogram,
    /// How many callers shared it.
    pub(crate) commit_callers: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            commit_callers: Histogram::new(COMMIT_CALLERS),
        }
    }
}

impl Meters {
    /// A commit of so many callers is on stable storage.
    pub(super) fn committed(&self, took: Duration, callers: usize) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_callers.observe(callers as f64);
    }
}

/// How full a bounded queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// What waits.
    pub(crate) waiting: usize,
    /// What may wait.
    pub(crate) capacity: usize,
}

impl Depth {
    /// Of a channel.
    pub(crate) fn of<T>(sender: &tokio::sync::mpsc::Sender<T>) -> Self {
        let capacity = sender.max_capacity();
        Self { waiting: capacity - sender.capacity(), capacity }
    }
}

/// What stands in the store now, over all accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Jobs that have not ended, by state.
    pub(crate) jobs: Vec<(inkwire_protocol::job::State, u64)>,
    /// Agents that are paired, also those that are kept out.
    pub(crate) agents: u64,
    /// Of these, those whose identity two PCs use.
    pub(crate) clones: u64,
    /// Of these, those that were revoked.
    pub(crate) revoked: u64,
}
