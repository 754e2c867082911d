//! The journal that a back-end writes to: intents on stable storage, progress, what the device wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use inkwire_protocol::limits::MAX_DETAIL_CHARS;
use inkwire_protocol::message::Fact;
use serde_json::Value;
use tokio::sync::watch;

use crate::printers::backend::{Journal, JournalError};
use crate::shared::Shared;
use crate::spool::{Change, JobKey};

/// What a device wants of a human: reasons and words; empty reasons mean that it goes on.
pub(super) type Stop = (Vec<String>, String);

/// The journal of one copy.
pub(super) struct PrintJournal {
    shared: Arc<Shared>,
    key: JobKey,
    /// Whether the broker knows that it prints.
    told: AtomicBool,
    delivered: AtomicU64,
    stops: watch::Sender<Stop>,
}

impl PrintJournal {
    pub(super) fn new(shared: Arc<Shared>, key: JobKey, told: bool) -> (Self, watch::Receiver<Stop>) {
        let (stops, stopped) = watch::channel((Vec::new(), String::new()));
        let journal = Self { shared, key, told: AtomicBool::new(told), delivered: AtomicU64::new(0), stops };
        (journal, stopped)
    }

    /// Bytes of this copy that were given so far.
    pub(super) fn given(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl Journal for PrintJournal {
    async fn intent(&self, note: Value) -> Result<(), JournalError> {
        // From here on a request finds the job begun; if the commit fails, the worker takes it back.
        self.shared.book.with(self.key, |job| {
            job.intent = Some(note.clone());
            job.stopped = false;
        });
        let (key, at_ms) = (self.key, self.shared.clock.now_ms());
        let mut changes = vec![Change::Intent { key, note }];
        if !self.told.load(Ordering::Acquire) {
            changes.push(Change::Fact { key, fact: Fact::Printing, at_ms });
        }
        self.shared.ledger.commit(changes).await.map_err(|error| JournalError(error.to_string()))?;
        self.told.store(true, Ordering::Release);
        Ok(())
    }

    fn delivered(&self, bytes: u64) {
        self.delivered.fetch_max(bytes, Ordering::Relaxed);
    }

    fn stopped(&self, reasons: &[String], detail: &str) {
        let detail: String = detail.chars().take(MAX_DETAIL_CHARS).collect();
        self.stops.send_if_modified(|now| {
            let changed = now.0 != reasons;
            if changed {
                *now = (reasons.to_vec(), detail);
            }
            changed
        });
    }
}
