//! What sessions and jobs say to each other. `sessions` does not know `jobs`: it emits [`SessionEvent`]s into a bounded
//! channel and takes [`SessionCommand`]s from one.
//!
//! A full event channel stops the reading of the socket (acks and facts are never dropped). A full command channel
//! closes the session as slow: it comes back and the jobs are taken up again from the store.

use std::net::SocketAddr;
use std::sync::Arc;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AckReceipt, AgentId, Attempt, Epoch, FactSeq, JobId, StoreEpoch};
use inkwire_protocol::job::Request;
use inkwire_protocol::message::{FactMessage, HeldTransfer, Open, RefuseReason};
use inkwire_protocol::printer::PrinterInfo;

use super::mailbox::Mailbox;
use crate::documents::Source;

/// What a session says.
#[derive(Debug)]
pub(crate) struct SessionEvent {
    /// Whose session.
    pub(crate) agent: AgentId,
    /// Which one: what an older epoch says changes nothing (facts excepted).
    pub(crate) epoch: Epoch,
    /// What.
    pub(crate) what: What,
}

/// What a session says.
#[derive(Debug)]
pub(crate) enum What {
    /// It has begun: epoch and printers are committed, `welcome` is on its way.
    Online(Box<Online>),
    /// The last packet of a transfer is due soon and needs the permit.
    PermitWanted { job: JobId, attempt: Attempt },
    /// More is durable at the agent. Only progress: may be late, is repeated.
    Received { job: JobId, attempt: Attempt, bytes: u64, sent: Sent },
    /// The agent does not take the transfer.
    Refused { job: JobId, attempt: Attempt, reason: RefuseReason, detail: Option<String> },
    /// The document could not be read, or is not what was accepted: the transfer was dropped.
    SourceFailed { job: JobId, attempt: Attempt, error: String },
    /// Something that happened to a job.
    Fact(Box<FactMessage>),
    /// The agent's whole ledger has been repeated.
    Reconciled,
    /// Bytes given to the device.
    Delivered { job: JobId, attempt: Attempt, bytes: u64 },
    /// Printers changed.
    Printers(Vec<PrinterInfo>),
    /// No byte was read for too long although the agent owes an answer (`true`), or it is back (`false`).
    Silent(bool),
    /// It has ended; how far each transfer had come that was open.
    Offline { reason: CloseCode, cut: Vec<Cut> },
}

/// What one session sent of a document: the packets from `first` up to, and without, `next`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) first: u32,
    pub(crate) next: u32,
    /// The most packets that the agent let be on their way.
    pub(crate) window: u32,
}

/// A transfer that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) job: JobId,
    pub(crate) attempt: Attempt,
    pub(crate) sent: Sent,
}

/// How a session began.
#[derive(Debug)]
pub(crate) struct Online {
    /// Where to send commands.
    pub(crate) commands: Mailbox,
    /// What the agent holds.
    pub(crate) held: Vec<HeldTransfer>,
    /// Another spool, or an older one than was last seen.
    pub(crate) spool_lost: bool,
    /// The agent will repeat its ledger: dispatch nothing new before `Reconciled`.
    pub(crate) reconciling: bool,
    /// Jobs up to this number are older than the store's incarnation; 0 where that does not matter.
    pub(crate) restored_jobs: u64,
    /// The incarnation of the store that `welcome` named.
    pub(crate) store_epoch: StoreEpoch,
    /// Where the broker sees the agent.
    pub(crate) observed: SocketAddr,
    /// How long it had no session, where that is known.
    pub(crate) absent_ms: Option<u64>,
    /// Its printers.
    pub(crate) printers: Vec<PrinterInfo>,
}

/// What a session is told to do. The large variant is boxed: a channel slot is memory of every session.
#[derive(Debug)]
pub(crate) enum SessionCommand {
    /// Open a transfer; the session picks the channel number and begins at once.
    Open(Box<OpenTransfer>),
    /// The last packet may go: `may_print` is committed.
    Permit { job: JobId, attempt: Attempt },
    /// End the transfer, if open, and have the agent throw the attempt away.
    Drop { job: JobId, attempt: Attempt, reason: &'static str },
    /// Ask the agent to act on a job.
    Request { job: JobId, attempt: Attempt, request: Request },
    /// The fact is committed.
    FactAck { job: JobId, attempt: Attempt, fact_seq: FactSeq, facts_acked: u64, receipt: Box<AckReceipt> },
    /// End the session.
    Close { code: CloseCode, detail: &'static str },
    /// The broker is stopping.
    Drain { retry_after_ms: u64 },
}

/// A transfer to open.
#[derive(Debug)]
pub(crate) struct OpenTransfer {
    /// The message; its `transfer` is filled in by the session.
    pub(crate) open: Open,
    /// Where the bytes come from.
    pub(crate) source: Arc<Source>,
    /// Whether the last packet may go without a permit.
    pub(crate) permitted: bool,
}
