//! The worker of one printer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inkwire_protocol::ids::PrinterNumber;
use inkwire_protocol::message::Fact;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::decide::{Next, next};
use super::document::{Source, Spooled};
use super::ending::{Ending, Standing, ending};
use super::journal::{PrintJournal, Stop};
use crate::limits::PROGRESS_EVERY;
use crate::link::Say;
use crate::printers::backend::{Backend, DocumentError, Outcome, Recovery, Task};
use crate::shared::Shared;
use crate::spool::{Change, JobKey, LedgerError, Phase, part, reader};

/// Prints the jobs of one printer.
pub(crate) struct Worker {
    pub(crate) printer: PrinterNumber,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
}

/// A job that this worker has taken up.
struct Taken {
    key: JobKey,
    open: Arc<inkwire_protocol::message::Open>,
    inline: bool,
    whole: bool,
    copies_done: u32,
    intent: Option<serde_json::Value>,
    arrival: Option<watch::Receiver<crate::desk::arrival::Arrival>>,
    cancel: CancellationToken,
    held: bool,
    /// The broker was told that it stands still.
    stopped: bool,
    /// Bytes of the present copy that were noted as given.
    noted: u64,
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
        let printing = self.backend.print(&task, &mut document, &journal, &taken.cancel);
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
            Recovery::Decided(Outcome::Uncertain { reason, detail, delivered_bytes }) => {
                let delivered_bytes = delivered_bytes.max(taken.noted);
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

    /// Writes down what the outcome of a copy means for the job.
    async fn finish(
        &self,
        taken: &Taken,
        outcome: Outcome,
        given: Option<inkwire_protocol::ids::Sha256Digest>,
    ) -> Result<Option<Duration>, LedgerError> {
        let key = taken.key;
        self.shared.stirred.stir(self.printer);
        tracing::info!(job = %key, copy = taken.copies_done + 1, ?outcome, "outcome");
        let asked = self.shared.book.with(key, |job| (job.request, job.held, job.dropped));
        let (request, held, dropped) = asked.unwrap_or_default();
        let (bytes, qty, copies_done) = (taken.open.bytes, taken.open.qty, taken.copies_done);
        let standing = Standing { bytes, qty, copies_done, request, held, dropped, given };
        let at_ms = self.shared.clock.now_ms();
        match ending(standing, outcome) {
            Ending::End { outcome, fact } => {
                self.end(taken, outcome, fact).await?;
                Ok(None)
            }
            Ending::NextCopy => {
                let copies_done = taken.copies_done + 1;
                self.shared.ledger.insist(|| vec![Change::CopyDone { key, copies_done }]).await?;
                self.shared.book.with(key, |job| {
                    job.copies_done = copies_done;
                    job.intent = None;
                    job.claimed = false;
                });
                Ok(None)
            }
            Ending::Forget => {
                self.shared.ledger.insist(|| vec![Change::Forget { key }]).await?;
                self.shared.book.remove(key);
                self.remove_files(taken).await;
                Ok(None)
            }
            Ending::Hold => {
                let hold = || {
                    let fact = Change::Fact { key, fact: Fact::Held, at_ms };
                    vec![Change::NoIntent { key }, Change::Move { key, phase: Phase::Held }, fact]
                };
                self.shared.ledger.insist(hold).await?;
                self.release_clean(key);
                Ok(None)
            }
            Ending::Again { reasons, detail, after } => {
                self.shared.ledger.insist(|| vec![Change::NoIntent { key }]).await?;
                self.tell_stopped(taken, reasons, detail).await?;
                self.release_clean(key);
                Ok(Some(after))
            }
        }
    }

    /// The job waits for its device; said once as long as it stays so.
    async fn tell_stopped(
        &self,
        taken: &Taken,
        reasons: Vec<String>,
        detail: String,
    ) -> Result<(), LedgerError> {
        let (key, at_ms) = (taken.key, self.shared.clock.now_ms());
        let news =
            self.shared.book.with(key, |job| !std::mem::replace(&mut job.stopped, true)).unwrap_or(false);
        if !news {
            return Ok(());
        }
        let fact = Fact::Stopped { reasons, detail };
        self.shared.ledger.insist(|| vec![Change::Fact { key, fact: fact.clone(), at_ms }]).await.map(drop)
    }

    /// The spooled bytes are not what was acknowledged.
    async fn damaged(&self, taken: &Taken, error: &DocumentError) -> Result<Option<Duration>, LedgerError> {
        let detail = error.to_string();
        tracing::error!(job = %taken.key, detail, "the spool is damaged");
        let (outcome, fact) = if taken.copies_done == 0 {
            ("corrupt", Fact::Corrupt { detail })
        } else {
            let delivered_bytes = taken.open.bytes.saturating_mul(u64::from(taken.copies_done));
            ("uncertain", Fact::Uncertain { reason: "spool-damaged".into(), detail, delivered_bytes })
        };
        self.end(taken, outcome, fact).await?;
        Ok(None)
    }

    async fn end(&self, taken: &Taken, outcome: &'static str, fact: Fact) -> Result<(), LedgerError> {
        let (key, at_ms) = (taken.key, self.shared.clock.now_ms());
        let end =
            || vec![Change::End { key, outcome, at_ms }, Change::Fact { key, fact: fact.clone(), at_ms }];
        self.shared.ledger.insist(end).await?;
        self.shared.book.remove(key);
        self.remove_files(taken).await;
        Ok(())
    }

    /// Its time is over and nothing was given to the device.
    async fn expire(&self, key: JobKey) -> Result<Option<Duration>, LedgerError> {
        let Some(taken) = self.take(key) else { return Ok(None) };
        self.end(&taken, "expired", Fact::Expired).await?;
        Ok(None)
    }

    /// Opens the document; before the first copy every byte is checked.
    async fn document(&self, taken: &Taken) -> Result<Result<Spooled, DocumentError>, LedgerError> {
        let (key, open) = (taken.key, &taken.open);
        let source = if taken.inline {
            match self.shared.ledger.read(move |db| reader::document(db, key)).await? {
                Some(document) => Source::Inline(document),
                None => return Ok(Err(DocumentError::Damaged("it is not in the ledger".into()))),
            }
        } else {
            Source::File(part::paths(&self.shared.spool_dir, key).0)
        };
        let mut document = Spooled::whole(source, open.bytes, open.sha256);
        match &taken.arrival {
            Some(arrival) if !taken.whole => {
                Ok(Ok(document.arriving(arrival.clone(), self.backend.hold_open())))
            }
            Some(_) | None => Ok(document.verify().await.map(|()| document)),
        }
    }

    fn task(&self, taken: &Taken) -> Task {
        Task {
            job: taken.key.job,
            attempt: taken.key.attempt,
            copy: taken.copies_done + 1,
            title: taken.open.title.clone(),
            format: taken.open.format.clone(),
            bytes: taken.open.bytes,
            options: taken.open.options.clone(),
            streaming: !taken.whole,
        }
    }

    /// Takes a job up, unless it is gone.
    fn take(&self, key: JobKey) -> Option<Taken> {
        self.shared.book.with(key, |job| {
            job.claimed = true;
            Taken {
                key,
                open: Arc::clone(&job.open),
                inline: job.inline,
                whole: job.whole,
                copies_done: job.copies_done,
                intent: job.intent.clone(),
                arrival: job.arrival.clone(),
                cancel: job.cancel.clone(),
                held: job.held,
                stopped: job.stopped,
                noted: job.delivered,
            }
        })
    }

    fn release(&self, key: JobKey) {
        self.shared.book.with(key, |job| job.claimed = false);
    }

    fn release_clean(&self, key: JobKey) {
        self.shared.book.with(key, |job| {
            job.claimed = false;
            job.intent = None;
        });
    }

    async fn remove_files(&self, taken: &Taken) {
        if taken.inline {
            return;
        }
        let (dir, key) = (self.shared.spool_dir.clone(), taken.key);
        match tokio::task::spawn_blocking(move || part::remove(&dir, key)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(job = %key, %error, "spool files stay until the next start"),
            Err(error) => tracing::warn!(job = %key, %error, "spool files stay until the next start"),
        }
    }
}

/// Nothing is waited for longer without looking again.
const LONG: Duration = Duration::from_secs(3600);
/// How often the bytes given are noted in the ledger.
const NOTE_EVERY: Duration = Duration::from_secs(1);
