//! Open transfers: from `open` to the last ack.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::INLINE_DOCUMENT_BYTES;
use inkwire_protocol::message::{Open, RefuseReason};
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::{Layout, PacketVerdict, Receiver, Violation, Window};
use tokio::sync::mpsc;

use super::Desk;
use super::incoming::Begin;
use super::offer::{Answer, Offer, Partial, answer};
use crate::spool::part::Piece;
use crate::spool::reader::AttemptRow;
use crate::spool::{Change, JobKey, LedgerError, Phase};

/// A transfer on this connection.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) key: JobKey,
    pub(super) open: Arc<Open>,
    pub(super) receiver: Receiver,
    pub(super) window: Window,
    pub(super) kind: Kind,
}

/// How a document is taken in.
#[derive(Debug)]
pub(super) enum Kind {
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
    pub(super) open: Arc<Open>,
    pub(super) layout: Layout,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) next_seq: u32,
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
        let known = self.shared.ledger.attempts(key.job).await?;
        let partial = self.partly.get(&key);
        let printer = self.shared.printer(open.printer);
        let offer = Offer {
            open: &open,
            known: &known,
            partial: partial.map(|partly| Partial { layout: partly.layout, next_seq: partly.next_seq }),
            printer: printer.as_ref(),
            room_bytes: self.room_bytes(),
            jobs: self.shared.book.len(),
            transfers: self.channels.len().max(self.partly.len()),
        };
        let mut answer = answer(&offer);
        if let Answer::Take(_) = answer {
            if self.is_storing(key) {
                let detail = "the same attempt is just being put away here".to_owned();
                answer = Answer::Refuse { reason: RefuseReason::Busy, detail, repeat: None };
            } else if let Err(busy) = self.supersede(key, &known) {
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

    /// Takes earlier attempts out of the book. The ledger knows of an end, and the broker may hear of it, a moment before
    /// the worker has left the book.
    fn supersede(&self, key: JobKey, known: &[AttemptRow]) -> Result<(), JobKey> {
        let book = &self.shared.book;
        let Err(busy) = book.supersede(key) else { return Ok(()) };
        if !known.iter().any(|row| row.attempt == busy.attempt && row.phase == Phase::Ended) {
            return Err(busy);
        }
        book.remove(busy);
        book.supersede(key).map(drop)
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
                return self.violation(violation.close_code(), violation.to_string()).await;
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
}
