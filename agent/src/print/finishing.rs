//! What becomes of a job after the device: written down first, then told.

use std::time::Duration;

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Fact;

use super::ending::{Ending, Standing, ending};
use super::taken::Taken;
use super::worker::Worker;
use crate::printers::backend::{DocumentError, Outcome};
use crate::spool::{Change, JobKey, LedgerError, Phase, part};

impl Worker {
    /// Writes down what the outcome of a copy means for the job.
    pub(super) async fn finish(
        &self,
        taken: &Taken,
        outcome: Outcome,
        given: Option<Sha256Digest>,
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
    pub(super) async fn tell_stopped(
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
    pub(super) async fn damaged(
        &self,
        taken: &Taken,
        error: &DocumentError,
    ) -> Result<Option<Duration>, LedgerError> {
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

    pub(super) async fn end(
        &self,
        taken: &Taken,
        outcome: &'static str,
        fact: Fact,
    ) -> Result<(), LedgerError> {
        let (key, at_ms) = (taken.key, self.shared.clock.now_ms());
        let end =
            || vec![Change::End { key, outcome, at_ms }, Change::Fact { key, fact: fact.clone(), at_ms }];
        self.shared.ledger.insist(end).await?;
        self.shared.book.remove(key);
        self.remove_files(taken).await;
        Ok(())
    }

    /// Its time is over and nothing was given to the device.
    pub(super) async fn expire(&self, key: JobKey) -> Result<Option<Duration>, LedgerError> {
        let Some(taken) = self.take(key) else { return Ok(None) };
        self.end(&taken, "expired", Fact::Expired).await?;
        Ok(None)
    }

    pub(super) async fn remove_files(&self, taken: &Taken) {
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
