//! Large documents: they go to files as they come, and may go on over many connections.

use std::sync::Arc;

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::{Fact, HeldTransfer, Open, RefuseReason};
use inkwire_protocol::transfer::Layout;
use tokio::sync::{mpsc, watch};

use super::arrival::Arrival;
use super::incoming::{Arrived, Begin, Incoming, PIECES};
use super::small::{corrupt, wrong_digest};
use super::transfers::Partly;
use super::{Desk, Inner};
use crate::book::Job;
use crate::spool::part::PartError;
use crate::spool::{Change, JobKey, LedgerError, Phase};

impl Desk {
    /// Starts the task that writes a large document.
    pub(super) fn begin_large(
        &mut self,
        key: JobKey,
        layout: Layout,
        open: Arc<Open>,
        next_seq: u32,
        begin: Begin,
    ) {
        let (pieces, incoming) = mpsc::channel(PIECES);
        let (arrival, arrived) = watch::channel(Arrival::so_far(layout.bytes_below(next_seq)));
        let task = Incoming {
            key,
            layout,
            expected: open.sha256,
            dir: self.shared.spool_dir.clone(),
            pieces: incoming,
            arrival,
            tell: self.tell.clone(),
        };
        tokio::spawn(task.run(begin, self.shared.ledger.clone(), self.shared.clock.now_ms()));
        let held = HeldTransfer {
            job: key.job,
            attempt: key.attempt,
            packet_bytes: layout.packet_bytes(),
            next_seq,
        };
        self.shared.set_held(key, Some(held));
        self.shared.book.put(key, Job::arriving(Arc::clone(&open), arrived));
        self.partly.insert(key, Partly { open, layout, pieces, next_seq });
    }

    pub(super) async fn on_arrived(&mut self, key: JobKey, arrived: Arrived) -> Result<(), LedgerError> {
        match arrived {
            Arrived::Durable { next_seq, bytes, busy, sync } => {
                let Some(partly) = self.partly.get_mut(&key) else { return Ok(()) };
                partly.next_seq = next_seq;
                let (job, attempt, packet_bytes) = (key.job, key.attempt, partly.layout.packet_bytes());
                self.shared.set_held(key, Some(HeldTransfer { job, attempt, packet_bytes, next_seq }));
                let rtt = self.shared.rtt();
                let share = self.share();
                let Some((transfer, channel)) =
                    self.channels.iter_mut().find(|(_, channel)| channel.key == key)
                else {
                    return Ok(());
                };
                channel.window.on_synced(bytes, busy, rtt, sync);
                let packets = channel.window.packets(channel.receiver.layout(), share);
                let credit = channel.receiver.on_synced(next_seq, packets);
                let (transfer, next_seq) = (*transfer, channel.receiver.durable());
                self.ack(transfer, next_seq, credit).await;
                Ok(())
            }
            Arrived::Whole { digest } => self.on_whole(key, digest).await,
            Arrived::Failed(error) => self.on_failed(key, error).await,
        }
    }

    pub(super) async fn on_whole(&mut self, key: JobKey, digest: Sha256Digest) -> Result<(), LedgerError> {
        let Some(partly) = self.partly.remove(&key) else { return Ok(()) };
        self.shared.set_held(key, None);
        self.channels.retain(|_, channel| channel.key != key);
        let at_ms = self.shared.clock.now_ms();
        let begun =
            self.shared.book.with(key, |job| job.arrival.is_some() && (job.claimed || job.has_begun()));
        let begun = begun.unwrap_or(false);
        if digest != partly.open.sha256 {
            if begun {
                // The document's reader finds the same before the last byte: the job becomes uncertain.
                return Ok(());
            }
            self.shared.book.remove(key);
            let detail = wrong_digest(digest, partly.open.sha256);
            self.shared.ledger.insist(move || corrupt(key, at_ms, detail.clone())).await?;
            return self.remove_files(key).await;
        }
        let changes = move || {
            let mut changes = vec![Change::Move { key, phase: Phase::Ready }];
            if !begun {
                changes.push(Change::Fact { key, fact: Fact::Spooled, at_ms });
            }
            changes
        };
        let (ledger, tell) = (self.shared.ledger.clone(), self.tell.clone());
        tokio::spawn(async move {
            match ledger.insist(changes).await {
                Ok(_) => {
                    if tell.send(Inner::Ready(key)).await.is_err() {
                        tracing::debug!(job = %key, "the agent is stopping: the document waits in the spool");
                    }
                }
                Err(error) => tracing::error!(job = %key, %error, "a whole document cannot be written down"),
            }
        });
        Ok(())
    }

    pub(super) async fn on_ready(&mut self, key: JobKey) -> Result<(), LedgerError> {
        let at_ms = self.shared.clock.now_ms();
        let state = self.shared.book.with(key, |job| {
            job.whole = true;
            job.arrival = None;
            (job.open.printer, job.held && !job.claimed)
        });
        let Some((printer, held)) = state else { return Ok(()) };
        if held {
            let hold = move || {
                vec![Change::Move { key, phase: Phase::Held }, Change::Fact { key, fact: Fact::Held, at_ms }]
            };
            self.shared.ledger.insist(hold).await?;
        }
        self.shared.book.wake(printer);
        self.catch_up(key).await
    }

    pub(super) async fn on_failed(&mut self, key: JobKey, error: PartError) -> Result<(), LedgerError> {
        let channel =
            self.channels.iter().find(|(_, channel)| channel.key == key).map(|(transfer, _)| *transfer);
        self.forget_transfer(key);
        tracing::warn!(job = %key, %error, "an arriving document is given up");
        let begun = self.shared.book.with(key, |job| job.claimed || job.has_begun()).unwrap_or(false);
        let (reason, detail, at_ms) = match &error {
            PartError::Full => (RefuseReason::DiskFull, error.to_string(), self.shared.clock.now_ms()),
            PartError::Poisoned(_) => {
                (RefuseReason::SpoolDamaged, error.to_string(), self.shared.clock.now_ms())
            }
        };
        self.shared.book.with(key, |job| job.dropped = true);
        if !begun {
            self.shared.book.remove(key);
            // The files first: on a full disk they make room for the row.
            self.remove_files(key).await?;
            if matches!(error, PartError::Full) {
                self.forget(key);
            } else {
                let told = detail.clone();
                self.shared.ledger.insist(move || corrupt(key, at_ms, told.clone())).await?;
            }
        }
        if let Some(transfer) = channel {
            self.refuse(transfer, key, reason, detail).await;
        }
        Ok(())
    }
}
