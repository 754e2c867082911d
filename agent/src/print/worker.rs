//! The worker of one printer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inkwire_protocol::ids::PrinterNumber;
use inkwire_protocol::message::Fact;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::decide::{Next, next};
use super::journal::{PrintJournal, Stop};
use super::paced::Paced;
use super::taken::Taken;
use crate::limits::PROGRESS_EVERY;
use crate::link::Say;
use crate::printers::backend::{Backend, Outcome, Recovery};
use crate::shared::Shared;
use crate::spool::{Change, JobKey, LedgerError};

/// Prints the jobs of one printer.
pub(crate) struct Worker {
    pub(crate) printer: PrinterNumber,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
}

impl Worker {
    /// Runs until told to stop; a job that is with the device is seen to its end first.
    pub(crate) async fn run(self) -> Result<(), LedgerError> {
        let wake = self.shared.book.notify(self.printer);
        while !self.stop.is_cancelled() {
            let streams = self.shared.printer(self.printer).is_some_and(|printer| printer.streams);
            let now_ms = self.shared.clock.now_ms();
            let pause = match next(&self.shared.book.views(self.printer), now_ms, streams) {
                Next::Recover(key) => self.recover(key).await?,
                Next::Print(key) => self.print(key).await?,
                Next::Expire(key) => self.expire(key).await?,
                Next::Wait(until_ms) => {
                    let wait = until_ms.map_or(LONG, |until| Duration::from_millis(until - now_ms));
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = wake.notified() => {}
                        () = tokio::time::sleep(wait.min(LONG)) => {}
                    }
                    None
                }
            };
            if let Some(pause) = pause {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
        Ok(())
    }

    /// Gives the next copy of a job to the device. Returns how long to leave the device alone.
    async fn print(&self, key: JobKey) -> Result<Option<Duration>, LedgerError> {
        let Some(taken) = self.take(key) else { return Ok(None) };
        if taken.held && taken.copies_done == 0 {
            self.release(key);
            return Ok(None);
        }
        let mut document = match self.document(&taken).await? {
            Ok(document) => document,
            Err(error) => return self.damaged(&taken, &error).await,
        };
        // Last of all: what was asked meanwhile, and the time.
        if taken.cancel.is_cancelled() {
            return self.finish(&taken, Outcome::Canceled, None).await;
        }
        let over = taken.open.expires_ms.is_some_and(|expires| expires <= self.shared.clock.now_ms());
        if over && taken.copies_done == 0 && taken.whole {
            self.release(key);
            return self.expire(key).await;
        }
        let task = self.task(&taken);
        let told = taken.copies_done > 0 && !taken.stopped;
        let (journal, stops) = PrintJournal::new(Arc::clone(&self.shared), key, told);
        tracing::info!(job = %key, copy = task.copy, printer = %self.printer, "printing");
        self.shared.stirred.stir(self.printer);
        let mut paced = Paced::new(&mut document, taken.open.pacing_bytes_s);
        let printing = self.backend.print(&task, &mut paced, &journal, &taken.cancel);
        let outcome = self.attend(&taken, printing, &journal, stops).await?;
        let given = document.given().1;
        self.finish(&taken, outcome, given).await
    }

    /// Finds out what became of a copy whose intent has no outcome.
    async fn recover(&self, key: JobKey) -> Result<Option<Duration>, LedgerError> {
        let Some(taken) = self.take(key) else { return Ok(None) };
        let Some(note) = taken.intent.clone() else {
            self.release(key);
            return Ok(None);
        };
        let task = self.task(&taken);
        let recovery = self.backend.recover(&task, &note).await;
        tracing::info!(job = %key, copy = task.copy, ?recovery, "found after a restart");
        match recovery {
            Recovery::NotStarted if !taken.whole => {
                let (reason, delivered_bytes) = ("agent-restarted".into(), 0);
                let detail = "the agent restarted while the document was streamed".into();
                let outcome = Outcome::Uncertain { reason, detail, delivered_bytes };
                self.finish(&taken, outcome, None).await
            }
            Recovery::NotStarted => {
                self.shared.ledger.insist(|| vec![Change::NoIntent { key }]).await?;
                self.shared.book.with(key, |job| job.intent = None);
                if taken.cancel.is_cancelled() {
                    return self.finish(&taken, Outcome::Canceled, None).await;
                }
                self.release(key);
                Ok(None)
            }
            Recovery::Underway => {
                let (journal, stops) = PrintJournal::new(Arc::clone(&self.shared), key, true);
                let watching = self.backend.watch(&task, &note, &journal, &taken.cancel);
                let outcome = self.attend(&taken, watching, &journal, stops).await?;
                self.finish(&taken, outcome, None).await
            }
            Recovery::Decided(Outcome::Uncertain { reason, detail, delivered_bytes: _ }) => {
                // The back-end can only say what is possible; what was noted is certain.
                let delivered_bytes = taken.noted;
                let detail = format!(
                    "{detail}; at least {delivered_bytes} of its {} bytes had been given to it",
                    taken.open.bytes
                );
                let outcome = Outcome::Uncertain { reason, detail, delivered_bytes };
                self.finish(&taken, outcome, None).await
            }
            Recovery::Decided(outcome) => self.finish(&taken, outcome, None).await,
            Recovery::AskLater { reasons, detail, retry_after } => {
                self.tell_stopped(&taken, reasons, detail).await?;
                self.release(key);
                Ok(Some(retry_after))
            }
        }
    }

    /// Sees a back-end through: tells what the device wants and how far it is.
    async fn attend(
        &self,
        taken: &Taken,
        work: impl Future<Output = Outcome>,
        journal: &PrintJournal,
        mut stops: watch::Receiver<Stop>,
    ) -> Result<Outcome, LedgerError> {
        let key = taken.key;
        let (mut told_bytes, mut noted) = (0, Instant::now());
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return Ok(outcome),
                Ok(()) = stops.changed() => {
                    self.shared.stirred.stir(self.printer);
                    let (reasons, detail) = stops.borrow_and_update().clone();
                    let fact = match reasons.is_empty() {
                        true => Fact::Printing,
                        false => Fact::Stopped { reasons, detail },
                    };
                    let at_ms = self.shared.clock.now_ms();
                    let tell = || vec![Change::Fact { key, fact: fact.clone(), at_ms }];
                    // Beside the back-end, which goes on: a device does not wait for our disk.
                    tokio::select! {
                        outcome = &mut work => {
                            self.shared.ledger.insist(tell).await?;
                            return Ok(outcome);
                        }
                        told = self.shared.ledger.insist(tell) => { told?; }
                    }
                }
                _ = tick.tick() => {
                    let given = journal.given();
                    if given == told_bytes {
                        continue;
                    }
                    told_bytes = given;
                    let done = taken.open.bytes.saturating_mul(u64::from(taken.copies_done));
                    let (job, attempt, delivered_bytes) = (key.job, key.attempt, done.saturating_add(given));
                    self.shared.mention(Say::Progress { job, attempt, delivered_bytes });
                    if noted.elapsed() > NOTE_EVERY {
                        noted = Instant::now();
                        self.shared.ledger.lazily(Change::Delivered { key, bytes: given }).await?;
                    }
                }
            }
        }
    }
}

/// Nothing is waited for longer without looking again.
const LONG: Duration = Duration::from_secs(3600);
/// How often the bytes given are noted in the ledger.
const NOTE_EVERY: Duration = Duration::from_secs(1);
