//! What an agent says of a job: facts, which outlive sessions.

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, FactSeq, JobId, Sha256Digest};
use crate::job::{Decision, FactKind};
use crate::limits::MAX_DETAIL_CHARS;

/// Something that happened to a job at an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactMessage {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// Orders the facts of this attempt; a smaller one than the last seen is old news.
    pub fact_seq: FactSeq,
    /// The ledger's commit that holds the fact.
    pub ledger_seq: u64,
    /// When, in broker time as the agent knows it.
    pub at_ms: u64,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fact {
    /// The whole document is on the agent's stable storage and its digest is right.
    Spooled,
    /// The document or its spool file is not what was sent, and no byte has gone to the device.
    Corrupt {
        /// In words.
        detail: String,
    },
    /// The intent to give the first byte to the device is on stable storage.
    Printing,
    /// The device wants a human, or cannot be reached.
    Stopped {
        /// IPP `printer-state-reasons`.
        reasons: Vec<String>,
        /// In words.
        detail: String,
    },
    /// Held at the agent, as requested; no byte has gone to the device.
    Held,
    /// Printed, as far as the witness can say.
    Completed {
        /// Who says so.
        witness: Witness,
        /// Bytes given to the device, all copies together.
        delivered_bytes: u64,
        /// Digest of what was given to the device for each copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Digest>,
        /// What else is worth knowing (the device's job number, the file's name).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Canceled before a byte went to the device, or by the device itself with certainty.
    Canceled,
    /// The device or the agent refused it for good; nothing was printed.
    Aborted {
        /// A keyword: `document-format-error`, `no-such-printer` ...
        reason: String,
        /// In words.
        detail: String,
    },
    /// It expired before the first byte.
    Expired,
    /// Bytes went to the device and nobody can say what became of them.
    Uncertain {
        /// A keyword: `agent-restarted`, `device-timeout`, `connection-reset` ...
        reason: String,
        /// In words.
        detail: String,
        /// Bytes that the agent gave to the device, as far as it knows; after a restart at least so many.
        delivered_bytes: u64,
    },
}

impl Fact {
    /// What the lifecycle needs to know of it.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Spooled => FactKind::Spooled,
            Self::Corrupt { .. } => FactKind::Corrupt,
            Self::Printing => FactKind::Printing,
            Self::Stopped { .. } => FactKind::Stopped,
            Self::Held => FactKind::Held,
            Self::Completed { .. } => FactKind::Completed,
            Self::Canceled => FactKind::Canceled,
            Self::Aborted { .. } => FactKind::Aborted,
            Self::Expired => FactKind::Expired,
            Self::Uncertain { .. } => FactKind::Uncertain,
        }
    }
}

/// Who says that a job is printed; never a stronger word than the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The printer itself reported completion of this job.
    Device,
    /// An OS queue reported completion or took it.
    Queue,
    /// The device took every byte and closed after us.
    HandedOver,
    /// Every byte was written; the device did not close.
    Sent,
    /// The program ended with exit code 0.
    Program,
    /// The file is synced and has its final name.
    Stored,
    /// Somebody decided.
    Human,
}

impl Decision {
    /// The witness of a decision that completes the job.
    pub const fn witness(self) -> Option<Witness> {
        match self {
            Self::Printed => Some(Witness::Human),
            Self::Reprint | Self::Drop => None,
        }
    }
}

/// Cuts what a device or a program said to [`MAX_DETAIL_CHARS`]: agents do it before they write a fact, brokers before they
/// store one.
pub fn clip(detail: &str) -> &str {
    match detail.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => detail.get(..end).unwrap_or(detail),
        None => detail,
    }
}
