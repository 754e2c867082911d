//! The transfers that a session is sending: which packet goes next, and what the agent's answers change.
//!
//! Pure: the session's task reads the documents and writes the socket. Printers take turns packet by packet, so that a
//! label never waits behind a poster for another printer; within a printer, priority goes first, then age.

use std::sync::Arc;

use inkwire_protocol::ids::{Attempt, JobId, PrinterNumber, TransferId};
use inkwire_protocol::limits::{INITIAL_CREDIT_BYTES, MAX_OPEN_TRANSFERS, MAX_WINDOW_BYTES};
use inkwire_protocol::message::{Ack, BlockedReason, Open, Refuse};
use inkwire_protocol::transfer::{AckEffect, Layout, LayoutError, Plan, Sender, Slice, Violation};

use super::link::{Cut, OpenTransfer, Sent};
use crate::documents::Source;
use crate::limits::PERMIT_AHEAD_PACKETS;

/// All transfers of one session.
#[derive(Debug)]
pub(crate) struct Outbound {
    transfers: Vec<Transfer>,
    /// The channel that was opened last.
    last_id: u32,
    /// The printer that had the last turn.
    turn: PrinterNumber,
}

#[derive(Debug)]
struct Transfer {
    id: TransferId,
    job: JobId,
    attempt: Attempt,
    printer: PrinterNumber,
    priority: u8,
    sender: Sender,
    source: Arc<Source>,
    permit_asked: bool,
    blocked: bool,
    /// The largest credit so far, in packets.
    window: u32,
}

impl Transfer {
    fn sent(&self) -> Sent {
        let first = self.sender.first();
        Sent { first, next: first + self.sender.sent_here(), window: self.window }
    }
}

/// A transfer that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The agent takes no more at once.
    #[error("{MAX_OPEN_TRANSFERS} transfers are open on this session already")]
    TooMany,
    /// The document cannot be cut like this.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A packet that is due.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// Its channel.
    pub(crate) transfer: TransferId,
    /// Its printer.
    pub(crate) printer: PrinterNumber,
    /// Its place in the document.
    pub(crate) slice: Slice,
    /// Where its bytes come from.
    pub(crate) source: Arc<Source>,
}

/// What an ack says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// The job.
    pub(crate) job: JobId,
    /// The attempt.
    pub(crate) attempt: Attempt,
    /// Bytes durable at the agent.
    pub(crate) bytes: u64,
    /// What was sent for it here.
    pub(crate) sent: Sent,
    /// Nothing more follows.
    pub(crate) whole: bool,
}

impl Default for Outbound {
    fn default() -> Self {
        Self { transfers: Vec::new(), last_id: 0, turn: PrinterNumber(0) }
    }
}

impl Outbound {
    /// Begins a transfer; the message names its new channel. An earlier one of the same job ends silently.
    pub(crate) fn open(&mut self, wanted: OpenTransfer) -> Result<Open, OpenError> {
        let OpenTransfer { mut open, source, permitted } = wanted;
        self.transfers.retain(|transfer| transfer.job != open.job);
        if self.transfers.len() >= MAX_OPEN_TRANSFERS {
            return Err(OpenError::TooMany);
        }
        let layout = Layout::new(open.bytes, open.packet_bytes)?;
        self.last_id += 1;
        open.transfer = TransferId(self.last_id);
        self.transfers.push(Transfer {
            id: open.transfer,
            job: open.job,
            attempt: open.attempt,
            printer: open.printer,
            priority: open.priority,
            sender: Sender::new(layout, open.next_seq, permitted),
            source,
            permit_asked: false,
            blocked: false,
            window: layout.packets_in(INITIAL_CREDIT_BYTES).min(layout.packets()),
        });
        Ok(open)
    }

    /// The packet whose turn it is, if any may be sent.
    pub(crate) fn due(&self) -> Option<Due> {
        // The printer after the one that had the last turn, in a circle.
        let distance = |printer: PrinterNumber| printer.0.wrapping_sub(self.turn.0).wrapping_sub(1);
        let sendable = self.transfers.iter().filter_map(|transfer| match transfer.sender.next() {
            Plan::Packet(slice) => Some((transfer, slice)),
            Plan::NeedPermit | Plan::NoCredit | Plan::AllSent => None,
        });
        let order = |transfer: &Transfer| {
            (distance(transfer.printer), std::cmp::Reverse(transfer.priority), transfer.id)
        };
        let (transfer, slice) = sendable.min_by_key(|(transfer, _)| order(transfer))?;
        Some(Due { transfer: transfer.id, printer: transfer.printer, slice, source: transfer.source.clone() })
    }

    /// Whether any packet may be sent.
    pub(crate) fn has_due(&self) -> bool {
        self.transfers.iter().any(|transfer| matches!(transfer.sender.next(), Plan::Packet(_)))
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.transfers.len()
    }

    /// Whether the transfer is (still) open.
    pub(crate) fn is_open(&self, id: TransferId) -> bool {
        self.transfers.iter().any(|transfer| transfer.id == id)
    }

    /// The packet that was due is in the socket's hands.
    pub(crate) fn sent(&mut self, id: TransferId) {
        if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.id == id) {
            transfer.sender.on_sent();
            transfer.blocked = false;
            self.turn = transfer.printer;
        }
    }

    /// The source is slow: what the agent must be told, once until the next packet.
    pub(crate) fn source_slow(&mut self, id: TransferId) -> Option<BlockedReason> {
        let transfer = self.transfers.iter_mut().find(|transfer| transfer.id == id)?;
        (!std::mem::replace(&mut transfer.blocked, true)).then_some(BlockedReason::SourceNotReady)
    }

    /// Jobs whose last packet is due soon and needs a permit, each named once.
    pub(crate) fn permits_wanted(&mut self) -> Vec<(JobId, Attempt)> {
        let wanting = self
            .transfers
            .iter_mut()
            .filter(|transfer| !transfer.permit_asked && transfer.sender.wants_permit(PERMIT_AHEAD_PACKETS));
        wanting
            .map(|transfer| {
                transfer.permit_asked = true;
                (transfer.job, transfer.attempt)
            })
            .collect()
    }

    /// The last packet of an attempt may go.
    pub(crate) fn permit(&mut self, job: JobId, attempt: Attempt) {
        if let Some(transfer) = self.of(job, attempt) {
            transfer.sender.permit();
        }
    }

    /// Takes an ack; says what is new. A transfer that has ended here may still be acked: old news.
    pub(crate) fn ack(&mut self, ack: Ack) -> Result<Option<Received>, Violation> {
        let Some(at) = self.position(ack.transfer)? else { return Ok(None) };
        let transfer = &mut self.transfers[at];
        let effect = transfer.sender.on_ack(ack.next_seq, ack.credit)?;
        let layout = transfer.sender.layout();
        transfer.window = transfer.window.max(ack.credit.min(layout.packets_in(MAX_WINDOW_BYTES)));
        let bytes = layout.bytes_below(transfer.sender.acked());
        let whole = effect == AckEffect::Complete;
        let received =
            Received { job: transfer.job, attempt: transfer.attempt, bytes, sent: transfer.sent(), whole };
        if whole {
            self.end(at);
        }
        Ok((effect != AckEffect::Stale).then_some(received))
    }

    /// The agent says that it has the whole document, which is as good as the last ack: the transfer ends, if it is still open.
    pub(crate) fn spooled(&mut self, job: JobId, attempt: Attempt) -> Option<Received> {
        let at = self.transfers.iter().position(|t| t.job == job && t.attempt == attempt)?;
        let transfer = &self.transfers[at];
        let bytes = transfer.sender.layout().bytes();
        let received = Received { job, attempt, bytes, sent: transfer.sent(), whole: true };
        self.end(at);
        Some(received)
    }

    /// How far every transfer has come that is open.
    pub(crate) fn cut(&self) -> Vec<Cut> {
        let cut =
            |transfer: &Transfer| Cut { job: transfer.job, attempt: transfer.attempt, sent: transfer.sent() };
        self.transfers.iter().map(cut).collect()
    }

    /// The agent does not take a transfer; says whether it was open.
    pub(crate) fn refused(&mut self, refuse: &Refuse) -> Result<bool, Violation> {
        let Some(at) = self.position(refuse.transfer)? else { return Ok(false) };
        self.end(at);
        Ok(true)
    }

    /// Ends the transfer of an attempt, if it is open.
    pub(crate) fn drop_attempt(&mut self, job: JobId, attempt: Attempt) {
        if let Some(at) = self.transfers.iter().position(|t| t.job == job && t.attempt == attempt) {
            self.end(at);
        }
    }

    /// Ends a transfer whose source failed; says of which attempt it was.
    pub(crate) fn source_failed(&mut self, id: TransferId) -> Option<(JobId, Attempt)> {
        let at = self.transfers.iter().position(|transfer| transfer.id == id)?;
        let failed = (self.transfers[at].job, self.transfers[at].attempt);
        self.end(at);
        Some(failed)
    }

    /// Whether the agent owes an ack.
    pub(crate) fn owes_ack(&self) -> bool {
        self.transfers.iter().any(|transfer| transfer.sender.in_flight() > 0)
    }

    fn of(&mut self, job: JobId, attempt: Attempt) -> Option<&mut Transfer> {
        self.transfers.iter_mut().find(|transfer| transfer.job == job && transfer.attempt == attempt)
    }

    fn position(&self, id: TransferId) -> Result<Option<usize>, Violation> {
        if id.0 == 0 || id.0 > self.last_id {
            return Err(Violation::NeverOpened { transfer: id });
        }
        Ok(self.transfers.iter().position(|transfer| transfer.id == id))
    }

    /// Order matters to nobody: age is in the ids. An idle session keeps no memory of its transfers.
    fn end(&mut self, at: usize) {
        self.transfers.swap_remove(at);
        if self.transfers.is_empty() {
            self.transfers = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests;
