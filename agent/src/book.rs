//! The undecided jobs, in memory: what the ledger holds, and what is going on with it right now.
//!
//! The desk puts jobs in and asks things of them, the print workers take them up. Both change a job under one short lock
//! first and write it down afterwards; a job that a worker has taken up ([`Job::claimed`]) is the worker's to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use inkwire_protocol::ids::PrinterNumber;
use inkwire_protocol::job::Request;
use inkwire_protocol::message::Open;
use inkwire_protocol::printer::Delivery;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::desk::arrival::Arrival;
use crate::print::decide::View;
use crate::spool::reader::JobRow;
use crate::spool::{JobKey, Phase};

/// One undecided attempt.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) open: Arc<Open>,
    /// Whether the document is whole.
    pub(crate) whole: bool,
    pub(crate) held: bool,
    /// Whether the document lies in the ledger.
    pub(crate) inline: bool,
    /// The document itself, where it lies in the ledger and has just come.
    pub(crate) document: Option<Bytes>,
    pub(crate) copies_done: u32,
    /// The note of an intent without an outcome.
    pub(crate) intent: Option<Value>,
    /// Bytes of the present copy that were noted as given.
    pub(crate) delivered: u64,
    /// A worker has it.
    pub(crate) claimed: bool,
    /// The last fact told was `stopped`.
    pub(crate) stopped: bool,
    /// What was asked while a worker had it.
    pub(crate) request: Option<Request>,
    /// The broker has thrown the attempt away while a worker had it.
    pub(crate) dropped: bool,
    pub(crate) cancel: CancellationToken,
    /// How much of the document is durable, while it arrives.
    pub(crate) arrival: Option<watch::Receiver<Arrival>>,
}

impl Job {
    /// A job that has just come whole.
    pub(crate) fn whole(open: Arc<Open>) -> Self {
        Self {
            open,
            whole: true,
            held: false,
            inline: true,
            document: None,
            copies_done: 0,
            intent: None,
            delivered: 0,
            claimed: false,
            stopped: false,
            request: None,
            dropped: false,
            cancel: CancellationToken::new(),
            arrival: None,
        }
    }

    /// A job whose document has begun to arrive.
    pub(crate) fn arriving(open: Arc<Open>, arrival: watch::Receiver<Arrival>) -> Self {
        Self { whole: false, inline: false, arrival: Some(arrival), ..Self::whole(open) }
    }

    /// A job as the ledger has it.
    pub(crate) fn of_row(row: JobRow) -> Self {
        Self {
            whole: row.phase != Phase::Receiving,
            held: row.phase == Phase::Held,
            inline: row.inline,
            copies_done: row.copies_done,
            intent: row.intent,
            delivered: row.delivered,
            ..Self::whole(Arc::new(row.open))
        }
    }

    /// Whether a byte may have gone to the device.
    pub(crate) fn has_begun(&self) -> bool {
        self.intent.is_some() || self.copies_done > 0
    }

    fn view(&self, key: JobKey) -> View {
        View {
            key,
            priority: self.open.priority,
            accepted_ms: self.open.accepted_ms,
            expires_ms: self.open.expires_ms,
            whole: self.whole,
            held: self.held,
            streams: self.open.delivery == Delivery::Stream,
            intent: self.intent.is_some(),
            copies_done: self.copies_done,
        }
    }
}

/// All undecided jobs.
#[derive(Debug, Default)]
pub(crate) struct Book {
    jobs: Mutex<HashMap<JobKey, Job>>,
    wake: Mutex<HashMap<PrinterNumber, Arc<Notify>>>,
    /// Whether workers may take up jobs: not before the broker has seen this spool, for it may be an old copy.
    open: AtomicBool,
}

impl Book {
    /// Puts a job in and wakes its printer.
    pub(crate) fn put(&self, key: JobKey, job: Job) {
        let printer = job.open.printer;
        self.lock().insert(key, job);
        self.wake(printer);
    }

    /// Takes a job out.
    pub(crate) fn remove(&self, key: JobKey) -> Option<Job> {
        self.lock().remove(&key)
    }

    /// Looks at or changes a job; none where there is no such job.
    pub(crate) fn with<T>(&self, key: JobKey, act: impl FnOnce(&mut Job) -> T) -> Option<T> {
        self.lock().get_mut(&key).map(act)
    }

    /// Takes out the attempts of a job before this one, unless a worker has one of them.
    pub(crate) fn supersede(&self, key: JobKey) -> Result<Vec<JobKey>, JobKey> {
        let mut jobs = self.lock();
        let older: Vec<_> =
            jobs.keys().filter(|k| k.job == key.job && k.attempt < key.attempt).copied().collect();
        let busy = |key: &&JobKey| jobs.get(key).is_some_and(|job| job.claimed || job.has_begun());
        if let Some(busy) = older.iter().find(busy) {
            return Err(*busy);
        }
        for key in &older {
            jobs.remove(key);
        }
        Ok(older)
    }

    /// The broker has seen this spool: workers may take up jobs.
    pub(crate) fn open(&self) {
        if !self.open.swap(true, Ordering::AcqRel) {
            for notify in self.wake.lock().unwrap_or_else(PoisonError::into_inner).values() {
                notify.notify_one();
            }
        }
    }

    /// Takes out every job that no worker has.
    pub(crate) fn give_up(&self) -> Vec<JobKey> {
        let mut jobs = self.lock();
        let idle: Vec<_> = jobs.iter().filter(|(_, job)| !job.claimed).map(|(key, _)| *key).collect();
        for key in &idle {
            jobs.remove(key);
        }
        idle
    }

    /// What the worker of a printer decides by.
    pub(crate) fn views(&self, printer: PrinterNumber) -> Vec<View> {
        if !self.open.load(Ordering::Acquire) {
            return Vec::new();
        }
        let jobs = self.lock();
        jobs.iter().filter(|(_, job)| job.open.printer == printer).map(|(key, job)| job.view(*key)).collect()
    }

    /// How many jobs there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Wakes the worker of a printer.
    pub(crate) fn wake(&self, printer: PrinterNumber) {
        self.notify(printer).notify_one();
    }

    /// What wakes the worker of a printer.
    pub(crate) fn notify(&self, printer: PrinterNumber) -> Arc<Notify> {
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wake.entry(printer).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobKey, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
