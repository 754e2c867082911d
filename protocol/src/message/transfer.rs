//! What goes with packets: opening, acks, silence with a reason, refusals.

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, JobId, PrinterNumber, Sha256Digest, TransferId};
use crate::printer::{Delivery, JobOptions};

/// Cumulative and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The transfer.
    pub transfer: TransferId,
    /// Every packet below this is on stable storage: the last one acked is `next_seq - 1`.
    pub next_seq: u32,
    /// How many packets from `next_seq` on may be on their way.
    pub credit: u32,
}

/// Binds a channel to a (job, attempt).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The channel: larger than every one before on this connection.
    pub transfer: TransferId,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// The printer on this agent.
    pub printer: PrinterNumber,
    /// Size of the document.
    pub bytes: u64,
    /// Data bytes of every packet but the last.
    pub packet_bytes: u32,
    /// First packet that follows: 0, or what `hello` said.
    pub next_seq: u32,
    /// Digest of the document.
    pub sha256: Sha256Digest,
    /// MIME type.
    pub format: String,
    /// Title, for the device.
    pub title: String,
    /// When bytes go to the device.
    #[serde(default)]
    pub delivery: Delivery,
    /// How often the document is given to the device, each with its own intent and outcome.
    #[serde(default = "one")]
    pub qty: u32,
    /// Job Template attributes.
    #[serde(default)]
    pub options: JobOptions,
    /// 1 (lowest) to 100; IPP `job-priority`.
    pub priority: u8,
    /// When the job was accepted: the order within a priority.
    pub accepted_ms: u64,
    /// When it expires, in the broker's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Bytes that go to the device in a second at most; none: as fast as it takes them. Back-ends that give bytes one by one (`socket`,
    /// `device`, `command`) keep to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing_bytes_s: Option<u64>,
}

const fn one() -> u32 {
    1
}

/// Why a sender with credit is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockedReason {
    /// The printer's pacing.
    Pacing,
    /// Another transfer of the same connection goes first.
    OtherTransfer,
    /// The document is still on its way to the sender, or its disk is slow.
    SourceNotReady,
}

/// A transfer that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuse {
    /// The transfer.
    pub transfer: TransferId,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// Why.
    pub reason: RefuseReason,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a transfer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefuseReason {
    /// No space; the broker waits and tries again.
    DiskFull,
    /// More transfers or jobs than the agent takes at once; the broker waits and tries again.
    Busy,
    /// No printer of that number.
    NoSuchPrinter,
    /// The printer does not take the format.
    Format,
    /// The ledger knows the attempt already; its facts follow.
    Known,
    /// An earlier attempt of the job is with the device; the broker waits for its outcome.
    EarlierAttempt,
    /// The bytes on the agent's disk are not what was acknowledged: the attempt cannot go on.
    SpoolDamaged,
}
