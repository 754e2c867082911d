//! What can be written to the ledger: every change is a value, and changes that belong together are one set.

use bytes::Bytes;
use inkwire_protocol::ids::{AckReceipt, Attempt, FactSeq, JobId, SessionToken, StoreEpoch};
use inkwire_protocol::message::{Fact, Open};
use serde_json::Value;

/// A delivery's durable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobKey {
    pub(crate) job: JobId,
    pub(crate) attempt: Attempt,
}

impl JobKey {
    pub(crate) const fn new(job: JobId, attempt: Attempt) -> Self {
        Self { job, attempt }
    }
}

impl std::fmt::Display for JobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.job, self.attempt)
    }
}

/// Where an attempt stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its document is partly here.
    Receiving,
    /// Whole and checked; waits for its printer, or is with it.
    Ready,
    /// Held as requested. The document may still be arriving.
    Held,
    /// Decided: only the outcome is kept.
    Ended,
}

impl Phase {
    pub(crate) const fn keyword(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Ready => "ready",
            Self::Held => "held",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn from_keyword(keyword: &str) -> Option<Self> {
        [Self::Receiving, Self::Ready, Self::Held, Self::Ended]
            .into_iter()
            .find(|phase| phase.keyword() == keyword)
    }
}

/// One change.
#[derive(Debug)]
pub(crate) enum Change {
    /// A document begins to arrive that is too large for its row.
    Begin { key: JobKey, open: Box<Open> },
    /// A small document is whole and checked.
    Store { key: JobKey, open: Box<Open>, document: Bytes },
    /// A newer attempt replaces those before it, of which nothing has begun.
    Supersede { key: JobKey, at_ms: u64 },
    /// The attempt stands elsewhere now.
    Move { key: JobKey, phase: Phase },
    /// A copy is about to go to its device.
    Intent { key: JobKey, note: Value },
    /// Nothing of that copy has gone to the device.
    NoIntent { key: JobKey },
    /// So many copies are done.
    CopyDone { key: JobKey, copies_done: u32 },
    /// About so many bytes of the present copy were given.
    Delivered { key: JobKey, bytes: u64 },
    /// Decided: the document goes, the outcome stays. Makes the row where there is none.
    End { key: JobKey, outcome: &'static str, at_ms: u64 },
    /// The broker has taken the attempt back, for the spool is not the one that it knew: nothing is told of it.
    Abandon { key: JobKey, at_ms: u64 },
    /// The attempt was never here.
    Forget { key: JobKey },
    /// To be told to the broker until it acknowledges.
    Fact { key: JobKey, fact: Fact, at_ms: u64 },
    /// The last fact of the attempt is told again.
    Repeat { key: JobKey },
    /// The broker has committed a fact.
    Acked { key: JobKey, fact_seq: FactSeq, facts_acked: u64, receipt: Option<AckReceipt> },
    /// The session to take up again.
    Session { token: SessionToken },
    /// Another incarnation of the broker's store: the last fact of every attempt is told again.
    StoreEpoch { epoch: StoreEpoch },
    /// The broker's clock against the PC's wall clock.
    ClockOffset { ms: i64 },
    /// A dial is about to be made; its number comes back.
    Dial,
    /// A printer's number stays with its name.
    Printer { name: String, number: u16 },
    /// Outcomes that ended before are forgotten.
    Prune { before_ms: u64 },
}

impl Change {
    /// The attempt that it makes a row for.
    pub(super) const fn makes(&self) -> Option<JobKey> {
        match self {
            Self::Begin { key, .. } | Self::Store { key, .. } | Self::End { key, .. } => Some(*key),
            Self::Supersede { .. }
            | Self::Move { .. }
            | Self::Intent { .. }
            | Self::NoIntent { .. }
            | Self::CopyDone { .. }
            | Self::Delivered { .. }
            | Self::Abandon { .. }
            | Self::Forget { .. }
            | Self::Fact { .. }
            | Self::Repeat { .. }
            | Self::Acked { .. }
            | Self::Session { .. }
            | Self::StoreEpoch { .. }
            | Self::ClockOffset { .. }
            | Self::Dial
            | Self::Printer { .. }
            | Self::Prune { .. } => None,
        }
    }
}
