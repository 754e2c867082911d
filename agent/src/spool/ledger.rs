//! The ledger: one writer thread with group commit, one connection for reading.
//!
//! Callers hand in sets of changes; the writer commits what has gathered, then answers them all. Nothing leaves the agent
//! (ack, fact, first byte) before its commit. A disk that is full refuses one set and may get better; any other failure
//! poisons the ledger and ends the agent.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, PoisonError};

use inkwire_protocol::ids::{AckReceipt, JobId, SpoolId};
use inkwire_protocol::message::FactMessage;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::apply::Counters;
use super::change::Change;
use super::known::Known;
use super::reader::AttemptRow;
use super::writer::{Answer, Marks, Set, Writer, unacked};
use super::{reader, schema};
use crate::limits::{LEDGER_QUEUE, OUTBOX_PAGE};

/// What is wrong with the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The disk is full; the changes were not made.
    #[error("the disk of the state directory is full: free some space")]
    Full,
    /// The ledger cannot be read or written any more.
    #[error("the ledger cannot be used: {0}")]
    Unusable(String),
    /// A newer program has written it.
    #[error(
        "{path} is a ledger of version {found}, this program knows up to {known}: install the newer program again"
    )]
    Newer {
        /// Its file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// It belongs to another agent: the PC was paired anew.
    #[error("the ledger belongs to agent {owner}, this is {agent}")]
    OtherAgent {
        /// Whose it is.
        owner: String,
        /// Who asks.
        agent: String,
    },
    /// The agent is stopping.
    #[error("the ledger is closed: the agent is stopping")]
    Closed,
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        // The index of the log in shared memory lies on the same disk; where it cannot grow, nothing was written.
        let no_index = error
            .sqlite_error()
            .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        if no_index || error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            Self::Full
        } else {
            Self::Unusable(error.to_string())
        }
    }
}

/// What a commit did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// The number of the last dial, where one was asked for.
    pub(crate) dial_n: u64,
}

/// Handle of the ledger; cheap to copy.
#[derive(Clone)]
pub(crate) struct Ledger {
    sets: mpsc::Sender<Set>,
    places: Arc<Semaphore>,
    known: Arc<Known>,
    reader: Arc<reader::Reader>,
    marks: Arc<Marks>,
    facts: Arc<Notify>,
    failed: watch::Receiver<Option<LedgerError>>,
    spool: SpoolId,
    /// Commits that were found at the start.
    found_seq: u64,
}

impl Ledger {
    /// Opens or creates the ledger of this agent and starts its writer. Blocks; `fresh` names a new spool.
    pub(crate) fn open(path: &Path, agent: &str, fresh: SpoolId) -> Result<Self, LedgerError> {
        let db = schema::open(path, agent, &fresh.to_string())?;
        let spool: String = db.query_row("SELECT spool_id FROM meta", [], |row| row.get(0))?;
        let spool = spool.parse().map_err(|error| LedgerError::Unusable(format!("spool id: {error}")))?;
        let reader = Arc::new(reader::Reader::new(schema::open_reader(path)?));
        let counters = Counters::load(&db)?;
        let known = Arc::new(Known::after(reader::newest_job(&db)?));
        let marks = Arc::new(Marks::new(counters.next_fact_id - 1));
        marks.publish(&counters, unacked(&db)?);
        let found_seq = counters.ledger_seq;
        let facts = Arc::new(Notify::new());
        let (sets, queue) = mpsc::channel();
        let (failure, failed) = watch::channel(None);
        let writer =
            Writer { db, counters, marks: Arc::clone(&marks), facts: Arc::clone(&facts), failure, queue };
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run())
            .map_err(|error| LedgerError::Unusable(format!("no thread for the ledger: {error}")))?;
        let places = Arc::new(Semaphore::new(LEDGER_QUEUE));
        Ok(Self { sets, places, known, reader, marks, facts, failed, spool, found_seq })
    }

    /// Makes the changes together; returns when they are on stable storage.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<Committed, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.queue(changes, Some(answer)).await?;
        answered.await.map_err(|_| self.gone())?
    }

    /// Like [`Ledger::commit`] for what must not be given up: waits while the disk is full.
    pub(crate) async fn insist(&self, make: impl Fn() -> Vec<Change>) -> Result<Committed, LedgerError> {
        loop {
            match self.commit(make()).await {
                Err(LedgerError::Full) => {
                    tracing::warn!("the disk is full: an outcome waits to be written down");
                    tokio::time::sleep(crate::limits::FULL_DISK_RETRY).await;
                }
                done => return done,
            }
        }
    }

    /// Makes a change with the next commit; it may be lost in a crash, without harm.
    pub(crate) async fn lazily(&self, change: Change) -> Result<(), LedgerError> {
        self.queue(vec![change], None).await
    }

    async fn queue(&self, changes: Vec<Change>, answer: Option<Answer>) -> Result<(), LedgerError> {
        changes.iter().filter_map(Change::makes).for_each(|key| self.known.note(key.job));
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| LedgerError::Closed)?;
        self.sets.send(Set { changes, answer, _place: place }).map_err(|_| self.gone())
    }

    /// Gives up this handle and returns when the writer has ended: the last of all handles must do so.
    pub(crate) async fn closed(self) {
        let mut failed = self.failed.clone();
        drop(self);
        while failed.changed().await.is_ok() {}
    }

    /// Runs a query beside the writer, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || reader.with(query))
            .await
            .map_err(|error| LedgerError::Unusable(error.to_string()))?
    }

    /// Every attempt of a job that the ledger knows.
    pub(crate) async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRow>, LedgerError> {
        if self.known.is_new(job) {
            return Ok(Vec::new());
        }
        self.read(move |db| reader::attempts(db, job)).await
    }

    /// Facts that the broker has not acknowledged, in order, after the one with this id; at most a page of them.
    pub(crate) async fn unacked_facts(&self, after: i64) -> Result<Vec<(i64, FactMessage)>, LedgerError> {
        if let Some(fresh) = self.marks.fresh().after(after) {
            return Ok(fresh);
        }
        self.read(move |db| reader::unacked_facts(db, after, OUTBOX_PAGE)).await
    }

    /// Commits so far.
    pub(crate) fn ledger_seq(&self) -> u64 {
        self.marks.ledger_seq.load(Ordering::Acquire)
    }

    /// Commits that `hello` tells of: those that were found, until a broker has welcomed this process. A ledger that was put back from
    /// a copy must not catch up, by commits of its own, with what the broker has heard of the one that it replaces.
    pub(crate) fn seq_to_tell(&self) -> u64 {
        if self.marks.welcomed.load(Ordering::Acquire) { self.ledger_seq() } else { self.found_seq }
    }

    /// A broker has welcomed this process: what it found is compared.
    pub(crate) fn welcomed(&self) {
        self.marks.welcomed.store(true, Ordering::Release);
    }

    /// Facts that the broker has acknowledged so far, by its own count, and its receipt for that number.
    pub(crate) fn facts_acked(&self) -> (u64, Option<AckReceipt>) {
        *self.marks.facts_acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the broker has still to hear of something.
    pub(crate) fn has_unacked(&self) -> bool {
        self.marks.unacked.load(Ordering::Acquire) > 0
    }

    /// The spool that was made with this ledger.
    pub(crate) fn spool(&self) -> SpoolId {
        self.spool
    }

    /// Woken after commits that hold facts.
    pub(crate) fn facts(&self) -> &Notify {
        &self.facts
    }

    /// Returns when the ledger has failed for good.
    pub(crate) async fn failed(&self) -> LedgerError {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(LedgerError::Closed),
            Err(_) => LedgerError::Closed,
        }
    }

    fn gone(&self) -> LedgerError {
        self.failed.borrow().clone().unwrap_or(LedgerError::Closed)
    }
}
