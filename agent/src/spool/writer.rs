//! The writer of the ledger: a thread that commits what has gathered, then answers everybody who waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use inkwire_protocol::ids::AckReceipt;
use rusqlite::Connection;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot, watch};

use super::LedgerError;
use super::apply::{Counters, apply};
use super::change::Change;
use super::fresh::{Fresh, Told};
use super::ledger::Committed;
use crate::limits::{LAZY_COMMIT_AFTER, LEDGER_BATCH};

/// Where the result of a set goes.
pub(super) type Answer = oneshot::Sender<Result<Committed, LedgerError>>;

/// Changes that belong together.
pub(super) struct Set {
    pub(super) changes: Vec<Change>,
    /// None for what may wait and be lost.
    pub(super) answer: Option<Answer>,
    /// Its place in the queue.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What the rest of the agent reads without asking the ledger; only ever what is committed.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) ledger_seq: AtomicU64,
    /// A broker has welcomed this process.
    pub(super) welcomed: AtomicBool,
    pub(super) facts_acked: Mutex<(u64, Option<AckReceipt>)>,
    pub(super) unacked: AtomicU64,
    fresh: Mutex<Fresh>,
}

impl Marks {
    /// Of facts up to this one only the ledger knows whether they are acknowledged.
    pub(super) fn new(newest_fact: i64) -> Self {
        Self {
            ledger_seq: AtomicU64::default(),
            facts_acked: Mutex::default(),
            unacked: AtomicU64::default(),
            fresh: Mutex::new(Fresh::new(newest_fact)),
            welcomed: AtomicBool::default(),
        }
    }

    pub(super) fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, counters: &Counters, unacked: u64) {
        *self.facts_acked.lock().unwrap_or_else(PoisonError::into_inner) =
            (counters.facts_acked, counters.receipt);
        self.unacked.store(unacked, Ordering::Release);
        self.ledger_seq.store(counters.ledger_seq, Ordering::Release);
    }
}

/// Facts that the broker has not acknowledged.
pub(super) fn unacked(db: &Connection) -> Result<u64, LedgerError> {
    let count: i64 =
        db.prepare_cached("SELECT COUNT(*) FROM facts WHERE acked = 0")?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) counters: Counters,
    pub(super) marks: Arc<Marks>,
    pub(super) facts: Arc<Notify>,
    pub(super) failure: watch::Sender<Option<LedgerError>>,
    pub(super) queue: mpsc::Receiver<Set>,
}

impl Writer {
    /// Runs until every handle is gone, or the ledger has failed.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while let Ok(set) = self.queue.recv() {
            batch.push(set);
            self.gather(&mut batch);
            if let Err(error) = self.write(&mut batch) {
                tracing::error!(%error, "the ledger has failed");
                self.failure.send_replace(Some(error));
                return;
            }
        }
    }

    /// Takes what has gathered. A batch that nobody waits for lets others join it for a while.
    fn gather(&self, batch: &mut Vec<Set>) {
        let until = Instant::now() + LAZY_COMMIT_AFTER;
        while batch.len() < LEDGER_BATCH {
            match self.queue.try_recv() {
                Ok(set) => {
                    batch.push(set);
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            if batch.iter().any(|set| set.answer.is_some()) {
                return;
            }
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(set) => batch.push(set),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, batch: &mut Vec<Set>) -> Result<(), LedgerError> {
        let mut counters = self.counters;
        let before = (counters.next_fact_id, counters.facts_acked);
        let mut told = Told::default();
        let mut answers = Vec::with_capacity(batch.len());
        match self.transact(batch, &mut counters, &mut told, &mut answers) {
            Ok(unacked) => {
                self.counters = counters;
                self.marks.publish(&counters, unacked);
                self.marks.fresh().commit(told, counters.next_fact_id - 1);
                let told_again = unacked > 0 && before.1 > counters.facts_acked;
                if counters.next_fact_id > before.0 || told_again {
                    self.facts.notify_one();
                }
                for (answer, result) in answers {
                    reply(answer, result.map(|()| Committed { dial_n: counters.dial_n }));
                }
                batch.clear();
                Ok(())
            }
            Err(error) => {
                for set in batch.drain(..) {
                    if let Some(answer) = set.answer {
                        reply(answer, Err(error.clone()));
                    }
                }
                for (answer, _) in answers {
                    reply(answer, Err(error.clone()));
                }
                // A full disk took nothing: the transaction is rolled back and the ledger is as it was.
                if error == LedgerError::Full { Ok(()) } else { Err(error) }
            }
        }
    }

    fn transact(
        &self,
        batch: &mut [Set],
        counters: &mut Counters,
        told: &mut Told,
        answers: &mut Vec<(Answer, Result<(), LedgerError>)>,
    ) -> Result<u64, LedgerError> {
        // By hand and not by rusqlite's guards, which have these few words parsed anew each time.
        self.run_cached("BEGIN IMMEDIATE")?;
        let written = self.apply_all(batch, counters, told, answers);
        let done = written.and_then(|unacked| self.run_cached("COMMIT").map(|()| unacked));
        if done.is_err() && !self.db.is_autocommit() {
            self.run_cached("ROLLBACK")?;
        }
        done
    }

    fn apply_all(
        &self,
        batch: &mut [Set],
        counters: &mut Counters,
        told: &mut Told,
        answers: &mut Vec<(Answer, Result<(), LedgerError>)>,
    ) -> Result<u64, LedgerError> {
        counters.ledger_seq += 1;
        for set in batch {
            let before = (*counters, told.mark());
            self.run_cached("SAVEPOINT caller")?;
            let applied = set.changes.iter().try_for_each(|change| apply(&self.db, change, counters, told));
            match &applied {
                Ok(()) => self.run_cached("RELEASE caller")?,
                // Sometimes a full disk makes SQLite roll back all of it by itself: then nothing of the batch is made.
                Err(LedgerError::Full) if self.db.is_autocommit() => return Err(LedgerError::Full),
                Err(LedgerError::Full) => {
                    *counters = before.0;
                    told.back_to(before.1);
                    self.run_cached("ROLLBACK TO caller")?;
                    self.run_cached("RELEASE caller")?;
                }
                Err(error) => return Err(error.clone()),
            }
            if let Some(answer) = set.answer.take() {
                answers.push((answer, applied));
            }
        }
        counters.store(&self.db, &self.counters)?;
        unacked(&self.db)
    }

    fn run_cached(&self, sql: &str) -> Result<(), LedgerError> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn reply(answer: Answer, result: Result<Committed, LedgerError>) {
    if answer.send(result).is_err() {
        tracing::trace!("nobody waits for this commit any more");
    }
}
