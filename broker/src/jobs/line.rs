//! The queue of one printer, as far as memory holds it: its heads, and what runs ahead.

use std::collections::{BTreeMap, HashMap};

use inkwire_protocol::ids::JobId;
use inkwire_protocol::limits::MAX_JOBS_AHEAD;

use super::rules::{self, QueueKey};
use crate::store::JobRow;

/// Heads in memory: what may run ahead, and as many again, so that a refill is ready before the queue is dry.
pub(super) const HEADS: usize = 2 * MAX_JOBS_AHEAD;

/// One printer of a live agent.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) present: bool,
    /// What is set for it; goes with every job that is opened.
    pub(super) pacing_bytes_s: Option<u64>,
    /// The first job of the queue has to wait for others.
    pub(super) full: bool,
    /// Heads of the queue, in order.
    queue: BTreeMap<QueueKey, JobId>,
    /// Nothing pending but `queue` is in the store.
    complete: bool,
    /// A refill is on its way.
    pub(super) loading: bool,
    /// On their way or spooled, with their bytes.
    ahead: HashMap<JobId, u64>,
    /// Refusals in a row, and until when the queue waits for it.
    pub(super) refusals: u32,
    pub(super) not_before_ms: u64,
}

impl Line {
    pub(super) fn new(present: bool) -> Self {
        Self {
            present,
            pacing_bytes_s: None,
            full: false,
            queue: BTreeMap::new(),
            complete: false,
            loading: false,
            ahead: HashMap::new(),
            refusals: 0,
            not_before_ms: 0,
        }
    }

    /// A job is pending: it is taken where it is among the heads, otherwise it waits in the store. Says whether it was taken.
    pub(super) fn push(&mut self, row: &JobRow) -> bool {
        let key = rules::queue_key(row);
        let among = self.queue.last_key_value().is_some_and(|(last, _)| key < *last);
        let room = self.queue.len() < HEADS;
        if among || self.loading || (self.complete && room) {
            self.queue.insert(key, row.job.id);
            return true;
        }
        self.complete = false;
        false
    }

    /// A refill of at most `limit` has come.
    pub(super) fn refilled(&mut self, found: usize, limit: usize) {
        self.loading = false;
        self.complete = found < limit;
    }

    /// Those that memory need not hold: beyond the heads.
    pub(super) fn trim(&mut self) -> Vec<JobId> {
        let mut cut = Vec::new();
        while self.queue.len() > HEADS {
            cut.extend(self.queue.pop_last().map(|(_, id)| id));
            self.complete = false;
        }
        cut
    }

    /// Whether more should be read from the store.
    pub(super) fn wants_refill(&self) -> bool {
        !self.complete && !self.loading && self.queue.is_empty()
    }

    /// A job stands as `row` says now.
    pub(super) fn note(&mut self, row: &JobRow) {
        if rules::is_ahead(row.job.state) {
            self.ahead.insert(row.job.id, row.job.bytes);
        } else {
            self.ahead.remove(&row.job.id);
        }
    }

    /// The first job of the queue.
    pub(super) fn head(&self) -> Option<JobId> {
        self.queue.first_key_value().map(|(_, id)| *id)
    }

    /// Whether nobody waits: neither here nor in the store.
    pub(super) fn is_free(&self) -> bool {
        self.complete && !self.loading && self.queue.is_empty()
    }

    /// Takes the first job out of the queue.
    pub(super) fn pop(&mut self) {
        self.queue.pop_first();
    }

    /// Takes a job out of the queue, wherever it is.
    pub(super) fn remove(&mut self, row: &JobRow) {
        self.queue.remove(&rules::queue_key(row));
    }

    /// Whether a job of `bytes` may be sent now.
    pub(super) fn admits(&self, bytes: u64) -> bool {
        rules::may_run_ahead(self.ahead.len(), self.ahead.values().sum(), bytes)
    }

    /// Counts a job that is about to be sent.
    pub(super) fn reserve(&mut self, job: JobId, bytes: u64) {
        self.ahead.insert(job, bytes);
    }

    /// Everything in the queue, for eviction.
    pub(super) fn queued(&self) -> impl Iterator<Item = JobId> + '_ {
        self.queue.values().copied()
    }
}
