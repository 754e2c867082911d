//! A job in a worker's hands: taken up, opened, given back.

use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::message::Open;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::document::{Source, Spooled};
use super::worker::Worker;
use crate::desk::arrival::Arrival;
use crate::printers::backend::{DocumentError, Task};
use crate::spool::{JobKey, LedgerError, part, reader};

/// A job that this worker has taken up.
pub(super) struct Taken {
    pub(super) key: JobKey,
    pub(super) open: Arc<Open>,
    pub(super) inline: bool,
    /// The document, where it is still in memory.
    pub(super) document: Option<Bytes>,
    pub(super) whole: bool,
    pub(super) copies_done: u32,
    pub(super) intent: Option<serde_json::Value>,
    pub(super) arrival: Option<watch::Receiver<Arrival>>,
    pub(super) cancel: CancellationToken,
    pub(super) held: bool,
    /// The broker was told that it stands still.
    pub(super) stopped: bool,
    /// Bytes of the present copy that were noted as given.
    pub(super) noted: u64,
}

impl Worker {
    /// Opens the document; before the first copy every byte is checked.
    pub(super) async fn document(
        &self,
        taken: &Taken,
    ) -> Result<Result<Spooled, DocumentError>, LedgerError> {
        let (key, open) = (taken.key, &taken.open);
        let source = if let Some(document) = &taken.document {
            Source::Inline(document.clone())
        } else if taken.inline {
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

    pub(super) fn task(&self, taken: &Taken) -> Task {
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
    pub(super) fn take(&self, key: JobKey) -> Option<Taken> {
        self.shared.book.with(key, |job| {
            job.claimed = true;
            Taken {
                key,
                open: Arc::clone(&job.open),
                inline: job.inline,
                document: job.document.clone(),
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

    pub(super) fn release(&self, key: JobKey) {
        self.shared.book.with(key, |job| job.claimed = false);
    }

    pub(super) fn release_clean(&self, key: JobKey) {
        self.shared.book.with(key, |job| {
            job.claimed = false;
            job.intent = None;
        });
    }
}
