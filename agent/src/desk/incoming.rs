//! One large document on its way to the spool: gathers packets, writes and syncs them, says what is durable.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::limits::{SYNC_AFTER, SYNC_BYTES};
use inkwire_protocol::message::Open;
use inkwire_protocol::transfer::Layout;
use tokio::sync::{mpsc, watch};

use super::Inner;
use super::arrival::{Arrival, Stage};
use crate::spool::part::{PartError, PartFile, Piece};
use crate::spool::{Change, JobKey, Ledger, LedgerError};

/// Packets that may wait for the disk: the largest window in the smallest packets.
pub(super) const PIECES: usize = 4096;

/// What happened to an arriving document.
#[derive(Debug)]
pub(super) enum Arrived {
    /// More is durable.
    Durable { next_seq: u32, bytes: u64, busy: Duration, sync: Duration },
    /// All is durable; this is its digest.
    Whole { digest: Sha256Digest },
    /// It cannot go on.
    Failed(PartError),
}

/// A document that begins, or one that is partly here.
pub(super) enum Begin {
    New(Box<Open>),
    Partly(Box<PartFile>),
}

/// One arriving document.
pub(super) struct Incoming {
    pub(super) key: JobKey,
    pub(super) layout: Layout,
    pub(super) expected: Sha256Digest,
    pub(super) dir: PathBuf,
    pub(super) pieces: mpsc::Receiver<Piece>,
    pub(super) arrival: watch::Sender<Arrival>,
    pub(super) tell: mpsc::Sender<Inner>,
}

impl Incoming {
    /// Runs until the document is whole, cannot go on, or is dropped (its sender of pieces is gone).
    pub(super) async fn run(mut self, begin: Begin, ledger: Ledger, at_ms: u64) {
        let end = match self.begin(begin, &ledger, at_ms).await {
            Ok(part) => self.write(part).await,
            Err(error) => Some(Arrived::Failed(error)),
        };
        if let Some(end) = end {
            self.say(end).await;
        }
    }

    async fn begin(&self, begin: Begin, ledger: &Ledger, at_ms: u64) -> Result<Box<PartFile>, PartError> {
        let (key, layout, dir) = (self.key, self.layout, self.dir.clone());
        match begin {
            Begin::Partly(part) => Ok(part),
            Begin::New(open) => {
                // The row first: a file without a row is swept away, a row without a file begins at packet 0.
                ledger
                    .commit(vec![Change::Begin { key, open }, Change::Supersede { key, at_ms }])
                    .await
                    .map_err(|error| {
                        if error == LedgerError::Full {
                            PartError::Full
                        } else {
                            PartError::Poisoned(error.to_string())
                        }
                    })?;
                blocking(move || PartFile::create(&dir, key, layout)).await.map(Box::new)
            }
        }
    }

    /// `None`: dropped.
    async fn write(&mut self, mut part: Box<PartFile>) -> Option<Arrived> {
        while part.next() < self.layout.packets() {
            let first = self.pieces.recv().await?;
            let began = Instant::now();
            let batch = self.gather(first).await;
            let bytes = batch.iter().map(|piece| piece.data.len() as u64).sum();
            let syncing = Instant::now();
            let written = blocking(move || {
                let next = part.append(&batch)?;
                Ok((part, next))
            });
            let next_seq = match written.await {
                Ok((written, next_seq)) => {
                    part = written;
                    next_seq
                }
                Err(error) => return Some(Arrived::Failed(error)),
            };
            let (busy, sync) = (began.elapsed(), syncing.elapsed());
            self.arrival.send_replace(Arrival::so_far(self.layout.bytes_below(next_seq)));
            self.say(Arrived::Durable { next_seq, bytes, busy, sync }).await;
        }
        let digest = part.digest();
        if digest == self.expected {
            let durable_bytes = self.layout.bytes();
            self.arrival.send_replace(Arrival { durable_bytes, stage: Stage::Whole });
        }
        Some(Arrived::Whole { digest })
    }

    /// What is there and what comes until it is enough, long enough, or the last.
    async fn gather(&mut self, first: Piece) -> Vec<Piece> {
        let until = tokio::time::Instant::now() + SYNC_AFTER;
        let mut bytes = first.data.len() as u64;
        let mut batch = vec![first];
        let is_last =
            |batch: &Vec<Piece>| batch.last().is_some_and(|piece| piece.seq + 1 == self.layout.packets());
        while bytes < SYNC_BYTES && !is_last(&batch) {
            match tokio::time::timeout_at(until, self.pieces.recv()).await {
                Ok(Some(piece)) => {
                    bytes += piece.data.len() as u64;
                    batch.push(piece);
                }
                Ok(None) | Err(_) => break,
            }
        }
        // While the last batch was synced more has gathered: it goes along.
        while let Ok(piece) = self.pieces.try_recv() {
            batch.push(piece);
        }
        batch
    }

    async fn say(&self, what: Arrived) {
        if self.tell.send(Inner::Arrived(self.key, what)).await.is_err() {
            tracing::debug!(job = %self.key, "the agent is stopping: nobody hears of this document");
        }
    }
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PartError> + Send + 'static,
) -> Result<T, PartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PartError::Poisoned(error.to_string()))?
}
