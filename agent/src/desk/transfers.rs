//! Open transfers: from `open` to the last ack.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{Sha256Digest, TransferId};
use inkwire_protocol::limits::{INLINE_DOCUMENT_BYTES, MAX_CONNECTION_WINDOW_BYTES};
use inkwire_protocol::message::{Ack, Fact, HeldTransfer, Open, Refuse, RefuseReason};
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::{Layout, PacketVerdict, Receiver, Violation, Window};
use tokio::sync::{mpsc, watch};

use super::arrival::Arrival;
use super::incoming::{Arrived, Begin, Incoming, PIECES, blocking};
use super::offer::{Answer, Offer, Partial, answer};
use super::{Desk, Inner};
use crate::book::Job;
use crate::link::Say;
use crate::spool::part::{PartError, Piece};
use crate::spool::{Change, JobKey, LedgerError, Phase, free_bytes, part, reader};

/// A transfer on this connection.
#[derive(Debug)]
pub(super) struct Channel {
    key: JobKey,
    open: Arc<Open>,
    receiver: Receiver,
    window: Window,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Gathered in memory, then committed in one go.
    Small(BytesMut),
    /// Whole, and being committed.
    Storing,
    /// Goes to files as it comes.
    Large,
}

impl Channel {
    pub(super) fn expects_data(&self) -> bool {
        self.receiver.expects_data()
    }

    pub(super) fn set_blocked(&mut self, blocked: bool) {
        self.receiver.set_blocked(blocked);
    }
}

/// A large document that is arriving.
#[derive(Debug)]
pub(super) struct Partly {
    open: Arc<Open>,
    layout: Layout,
    pieces: mpsc::Sender<Piece>,
    next_seq: u32,
}

impl Desk {
    pub(super) async fn on_open(&mut self, open: Open) -> Result<(), LedgerError> {
        let (key, transfer) = (JobKey::new(open.job, open.attempt), open.transfer);
        if transfer <= self.highest {
            return self
                .violation(CloseCode::ProtocolViolation, format!("channel {transfer} was used before"))
                .await;
        }
        self.highest = transfer;
        let known = self.shared.ledger.read(move |db| reader::attempts(db, key.job)).await?;
        let partial = self.partly.get(&key);
        let printer = self.shared.printer(open.printer);
        let offer = Offer {
            open: &open,
            known: &known,
            partial: partial.map(|partly| Partial { layout: partly.layout, next_seq: partly.next_seq }),
            printer: printer.as_ref(),
            room_bytes: self.room_bytes(),
            jobs: self.shared.book.len(),
            transfers: self.channels.len(),
        };
        let mut answer = answer(&offer);
        if let Answer::Take(_) = answer {
            if self.is_storing(key) {
                let detail = "the same attempt is just being put away here".to_owned();
                answer = Answer::Refuse { reason: RefuseReason::Busy, detail, repeat: None };
            } else if let Err(busy) = self.shared.book.supersede(key) {
                let detail = format!("attempt {} is with the device: wait for its outcome", busy.attempt);
                answer = Answer::Refuse { reason: RefuseReason::EarlierAttempt, detail, repeat: None };
            }
        }
        tracing::debug!(job = %key, bytes = open.bytes, ?answer, "offered");
        match answer {
            Answer::Take(layout) => self.take(key, layout, open).await,
            Answer::Resume(layout) => self.resume(key, layout, open).await,
            Answer::Violation(detail) => self.violation(CloseCode::ProtocolViolation, detail).await,
            Answer::Refuse { reason, detail, repeat } => {
                self.refuse(transfer, key, reason, detail).await;
                match repeat {
                    Some(attempt) => {
                        let repeat = Change::Repeat { key: JobKey { attempt, ..key } };
                        self.shared.ledger.commit(vec![repeat]).await.map(drop).or_else(super::later)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    async fn take(&mut self, key: JobKey, layout: Layout, open: Open) -> Result<(), LedgerError> {
        let (transfer, open) = (open.transfer, Arc::new(open));
        let mut receiver = Receiver::new(layout, 0);
        let small = layout.bytes() <= INLINE_DOCUMENT_BYTES;
        let kind = if small {
            Kind::Small(BytesMut::with_capacity(layout.bytes() as usize))
        } else {
            self.begin_large(key, layout, Arc::clone(&open), 0, Begin::New(Box::new((*open).clone())));
            Kind::Large
        };
        let window = Window::default();
        let credit = receiver.on_synced(0, self.window_packets(&window, layout));
        self.channels.insert(transfer, Channel { key, open, receiver, window, kind });
        // A label that comes in one packet needs no word before its only ack.
        if layout.packets() > 1 {
            self.ack(transfer, 0, credit).await;
        }
        self.catch_up(key).await
    }

    async fn resume(&mut self, key: JobKey, layout: Layout, open: Open) -> Result<(), LedgerError> {
        let (transfer, open) = (open.transfer, Arc::new(open));
        // A channel of this connection that was opened before for the same attempt is dead.
        self.channels.retain(|_, channel| channel.key != key);
        let next_seq = open.next_seq;
        let mut receiver = Receiver::new(layout, next_seq);
        let window = Window::default();
        let credit = receiver.on_synced(next_seq, self.window_packets(&window, layout));
        self.channels.insert(transfer, Channel { key, open, receiver, window, kind: Kind::Large });
        self.ack(transfer, next_seq, credit).await;
        Ok(())
    }

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

    pub(super) async fn on_packet(&mut self, header: &Header, data: Bytes) -> Result<(), LedgerError> {
        let Some(channel) = self.channels.get_mut(&header.transfer) else {
            if header.transfer > self.highest {
                let detail = format!("packet for channel {}, which was never opened", header.transfer);
                return self.violation(CloseCode::ProtocolViolation, detail).await;
            }
            // Refused or dropped: what was on its way still comes.
            return Ok(());
        };
        let key = channel.key;
        let verdict = if header.printer == channel.open.printer {
            channel.receiver.on_packet(header, data.len())
        } else {
            Err(Violation::WrongPrinter { seq: header.seq })
        };
        let PacketVerdict::Write { offset: _, last } = match verdict {
            Ok(verdict) => verdict,
            Err(violation) => {
                return self.violation(CloseCode::PacketOutOfWindow, violation.to_string()).await;
            }
        };
        match &mut channel.kind {
            Kind::Small(gathered) => {
                gathered.extend_from_slice(&data);
                if last {
                    let document = std::mem::take(gathered).freeze();
                    channel.kind = Kind::Storing;
                    let open = Arc::clone(&channel.open);
                    self.store(key, header.transfer, open, document);
                }
                Ok(())
            }
            Kind::Large => {
                let piece = Piece { seq: header.seq, crc32c: header.crc32c, data };
                let sent = self.partly.get(&key).map(|partly| partly.pieces.try_send(piece).is_ok());
                match sent {
                    Some(true) => Ok(()),
                    Some(false) => {
                        self.violation(CloseCode::PacketOutOfWindow, "more packets than were granted".into())
                            .await
                    }
                    None => Ok(()),
                }
            }
            Kind::Storing => Ok(()),
        }
    }

    /// A small document is whole: document, row and fact in one commit.
    fn store(&self, key: JobKey, transfer: TransferId, open: Arc<Open>, document: Bytes) {
        let (ledger, tell, at_ms) =
            (self.shared.ledger.clone(), self.tell.clone(), self.shared.clock.now_ms());
        tokio::spawn(async move {
            let found = Sha256Digest::of(&document);
            let changes = if found == open.sha256 {
                vec![
                    Change::Supersede { key, at_ms },
                    Change::Store { key, open: Box::new((*open).clone()), document },
                    Change::Fact { key, fact: Fact::Spooled, at_ms },
                ]
            } else {
                corrupt(key, at_ms, wrong_digest(found, open.sha256))
            };
            let result = ledger.commit(changes).await.map(drop);
            let whole = found == open.sha256;
            let inner = match result {
                Ok(()) if !whole => None,
                result => Some(Inner::Stored { key, transfer, result }),
            };
            if let Some(inner) = inner
                && tell.send(inner).await.is_err()
            {
                tracing::debug!(job = %key, "the agent is stopping: the label waits in the ledger");
            }
        });
    }

    pub(super) async fn on_stored(
        &mut self,
        key: JobKey,
        transfer: TransferId,
        result: Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let channel = self.channels.get(&transfer).filter(|channel| channel.key == key);
        let open = channel.map(|channel| Arc::clone(&channel.open));
        match result {
            Ok(()) => {
                // The connection may have been cut meanwhile: the ledger has the job all the same.
                let open = match open {
                    Some(open) => {
                        let next_seq =
                            self.channels.remove(&transfer).map_or(0, |c| c.receiver.layout().packets());
                        self.ack(transfer, next_seq, 0).await;
                        open
                    }
                    None => match self.open_of(key).await? {
                        Some(open) => open,
                        None => return Ok(()),
                    },
                };
                self.shared.book.put(key, Job::whole(open));
                self.catch_up(key).await
            }
            Err(LedgerError::Full) => {
                self.channels.remove(&transfer);
                self.refuse(transfer, key, RefuseReason::DiskFull, "the ledger's disk is full".into()).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn open_of(&self, key: JobKey) -> Result<Option<Arc<Open>>, LedgerError> {
        let rows = self.shared.ledger.read(reader::undecided).await?;
        Ok(rows.into_iter().find(|row| row.key == key).map(|row| Arc::new(row.open)))
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

    async fn on_whole(&mut self, key: JobKey, digest: Sha256Digest) -> Result<(), LedgerError> {
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

    async fn on_failed(&mut self, key: JobKey, error: PartError) -> Result<(), LedgerError> {
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
            let told = detail.clone();
            let full = matches!(error, PartError::Full);
            let changes = move || {
                if full { vec![Change::Forget { key }] } else { corrupt(key, at_ms, told.clone()) }
            };
            self.shared.ledger.insist(changes).await?;
        }
        if let Some(transfer) = channel {
            self.refuse(transfer, key, reason, detail).await;
        }
        Ok(())
    }

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

    pub(super) async fn remove_files(&self, key: JobKey) -> Result<(), LedgerError> {
        let dir = self.shared.spool_dir.clone();
        if let Err(error) = blocking(move || part::remove(&dir, key).map_err(PartError::from)).await {
            tracing::warn!(job = %key, %error, "spool files cannot be removed; the next start tries again");
        }
        Ok(())
    }

    /// Whether a small document of this attempt is being gathered or committed.
    pub(super) fn is_storing(&self, key: JobKey) -> bool {
        self.channels
            .values()
            .any(|channel| channel.key == key && matches!(channel.kind, Kind::Storing | Kind::Small(_)))
    }

    /// Space for new documents: what is free, less what stays free, less what open transfers still need.
    fn room_bytes(&self) -> u64 {
        let free = match free_bytes(&self.shared.spool_dir) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, "the spool's disk does not say how much is free");
                return 0;
            }
        };
        let promised: u64 = self
            .partly
            .values()
            .map(|partly| partly.layout.bytes() - partly.layout.bytes_below(partly.next_seq))
            .sum();
        free.saturating_sub(self.shared.min_free_bytes).saturating_sub(promised)
    }

    /// What one transfer may have of the connection's window.
    fn share(&self) -> u64 {
        let large = self.channels.values().filter(|channel| matches!(channel.kind, Kind::Large)).count();
        MAX_CONNECTION_WINDOW_BYTES / large.max(1) as u64
    }

    fn window_packets(&self, window: &Window, layout: Layout) -> u32 {
        window.packets(layout, self.share())
    }

    async fn ack(&self, transfer: TransferId, next_seq: u32, credit: u32) {
        if let Some(session) = self.session {
            self.shared.say(session, Say::Ack(Ack { transfer, next_seq, credit })).await;
        }
    }

    async fn refuse(&mut self, transfer: TransferId, key: JobKey, reason: RefuseReason, detail: String) {
        let (job, attempt, detail) = (key.job, key.attempt, Some(detail));
        if let Some(session) = self.session {
            let refuse = Refuse { transfer, job, attempt, reason, detail };
            self.shared.say(session, Say::Refuse(Box::new(refuse))).await;
        }
    }

    async fn violation(&mut self, code: CloseCode, detail: String) -> Result<(), LedgerError> {
        tracing::warn!(code = code.name(), detail, "the broker broke the protocol");
        if let Some(session) = self.session {
            self.shared.say(session, Say::Close { code, detail }).await;
        }
        Ok(())
    }
}

fn corrupt(key: JobKey, at_ms: u64, detail: String) -> Vec<Change> {
    let fact = Fact::Corrupt { detail };
    vec![Change::End { key, outcome: "corrupt", at_ms }, Change::Fact { key, fact, at_ms }]
}

fn wrong_digest(found: Sha256Digest, expected: Sha256Digest) -> String {
    format!("the SHA-256 of what came is {found}, not {expected}")
}
