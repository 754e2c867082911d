//! Attempts that are not to be printed any more: dropped by the broker, or ended here.

use super::Desk;
use super::incoming::blocking;
use crate::spool::part::PartError;
use crate::spool::{Change, JobKey, LedgerError, part};

impl Desk {
    pub(super) async fn on_drop(&mut self, key: JobKey, reason: &str) -> Result<(), LedgerError> {
        tracing::info!(job = %key, reason, "the broker drops an attempt");
        self.forget_transfer(key);
        let begun = self.shared.book.with(key, |job| job.claimed || job.has_begun());
        if begun == Some(true) {
            // Its reader is told that nothing more comes; the outcome is a fact.
            self.shared.book.with(key, |job| {
                job.dropped = true;
                job.cancel.cancel();
            });
            return Ok(());
        }
        if self.shared.book.remove(key).is_some() {
            self.shared.ledger.insist(move || vec![Change::Forget { key }]).await?;
            self.remove_files(key).await?;
        }
        Ok(())
    }

    /// Ends the transfer of an attempt: its writer, whose sender of packets goes, ends too.
    pub(super) fn forget_transfer(&mut self, key: JobKey) {
        self.partly.remove(&key);
        self.shared.set_held(key, None);
        self.channels.retain(|_, channel| channel.key != key);
    }

    /// Forgets a row beside the desk, which goes on while the disk is full: after a crash the row is an empty partial
    /// document, which the broker drops.
    pub(super) fn forget(&self, key: JobKey) {
        let ledger = self.shared.ledger.clone();
        tokio::spawn(async move {
            if let Err(error) = ledger.insist(move || vec![Change::Forget { key }]).await {
                tracing::debug!(job = %key, %error, "an attempt that was given up stays in the ledger");
            }
        });
    }

    pub(super) async fn remove_files(&self, key: JobKey) -> Result<(), LedgerError> {
        let dir = self.shared.spool_dir.clone();
        if let Err(error) = blocking(move || part::remove(&dir, key).map_err(PartError::from)).await {
            tracing::warn!(job = %key, %error, "spool files cannot be removed; the next start tries again");
        }
        Ok(())
    }
}
