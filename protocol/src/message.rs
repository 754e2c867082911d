//! Control messages between agent and broker: JSON text, tagged by `type`.
//!
//! A message of an unknown type decodes to `Unknown`, so that a newer peer can be told what was not
//! understood; a known type with wrong fields is an error. Times are Unix milliseconds by the broker's clock
//! unless the name says otherwise.

mod check;
mod decode;
mod dial;
mod fact;
mod pairing;

pub use check::OutOfBounds;
pub use decode::{Control, EncodeError, MessageError, decode, encode};
pub use dial::{DIAL_AUDIENCE, DialClaims, DialError, DialRefused};
pub use fact::{Fact, FactMessage, Witness, clip};
pub use pairing::{FromPairing, ToPairing, pairing_proof};

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{
    Attempt, Epoch, FactSeq, InstanceId, JobId, PrinterNumber, SessionToken, Sha256Digest, SpoolId,
    StoreEpoch, TransferId,
};
use crate::job::Request;
use crate::printer::{Delivery, JobOptions, PrinterInfo};

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToBroker {
    /// First message of every connection.
    Hello(Box<Hello>),
    /// Periodic sign of life, and at once after a local change.
    Report(Report),
    /// Every packet below `next_seq` is on stable storage; the sender may send packets below `next_seq + credit`.
    /// Also the answer to `open`.
    Ack(Ack),
    /// The transfer is not taken (now); the job is still the broker's.
    Refuse(Refuse),
    /// Something that happened to a job here; repeated in every session until `fact_ack`.
    Fact(FactMessage),
    /// All facts of the ledger have been repeated for this incarnation of the broker's store.
    Reconciled {
        /// The incarnation from `welcome`.
        store_epoch: StoreEpoch,
    },
    /// How far a device has got. May be dropped.
    Progress {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: Attempt,
        /// Bytes given to the device, all copies together.
        delivered_bytes: u64,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a broker says to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// Answer to `hello`: the session has begun.
    Welcome(Box<Welcome>),
    /// Answer to `report`.
    ReportOk(ReportOk),
    /// Binds a channel number to a (job, attempt); packets from `next_seq` on follow without waiting.
    Open(Box<Open>),
    /// The sender has credit but nothing to send now, so silence is no sign of a dead link; ended by the next packet or `unblocked`.
    Blocked {
        /// The transfer.
        transfer: TransferId,
        /// Why.
        reason: BlockedReason,
    },
    /// Ends `blocked` without a packet.
    Unblocked {
        /// The transfer.
        transfer: TransferId,
    },
    /// The transfer ends here and what was received of the attempt is thrown away: nothing of it may be printed.
    Drop {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: Attempt,
        /// Why, in words for a log.
        reason: String,
    },
    /// Asks the agent, who owns the outcome, to act on a job; repeated after each `welcome` until a fact answers it.
    Request {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: Attempt,
        /// What is asked.
        request: Request,
    },
    /// The fact is committed and need not be repeated.
    FactAck {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: Attempt,
        /// The fact's number.
        fact_seq: FactSeq,
        /// How many facts of this agent the store has taken in all; an agent that remembers more knows of a restored store.
        facts_acked: u64,
    },
    /// The broker is stopping: finish what is on the wire and come back after this time.
    Drain {
        /// When to dial again.
        retry_after_ms: u64,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who and where an agent is, and what it holds (the source's figure 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Highest protocol version that the agent speaks.
    pub protocol: u16,
    /// The agent's version, as `0.1.0`.
    pub version: String,
    /// This start of the agent's process.
    pub instance: InstanceId,
    /// The spool that it holds.
    pub spool: SpoolId,
    /// Commits of the spool's ledger so far.
    pub ledger_seq: u64,
    /// Facts that the broker has acknowledged so far, by the ledger.
    pub facts_acked: u64,
    /// The session to take up again, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionToken>,
    /// The PC's name.
    pub hostname: String,
    /// Operating system and architecture, as `linux-x86_64`.
    pub os: String,
    /// The agent's own end of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_endpoint: Option<SocketAddr>,
    /// Its printers.
    pub printers: Vec<PrinterInfo>,
    /// Documents that are partly here.
    pub transfers: Vec<HeldTransfer>,
    /// How far the agent's wall clock is off, where it has noticed (positive: its clock is behind).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
}

/// A document that is partly here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldTransfer {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// The packet size that it began with.
    pub packet_bytes: u32,
    /// Every packet below this is on stable storage.
    pub next_seq: u32,
}

/// The session has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version of this session.
    pub protocol: u16,
    /// The broker's version.
    pub version: String,
    /// To be presented at the next dial.
    pub session: SessionToken,
    /// Whether the session presented was taken up again.
    pub resumed: bool,
    /// This session's epoch.
    pub epoch: Epoch,
    /// The incarnation of the broker's store.
    pub store_epoch: StoreEpoch,
    /// The spool is another or an older one than the broker has seen: every attempt in it that has not ended is the broker's
    /// again, and is thrown away unprinted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spool_lost: bool,
    /// Where the broker sees the agent: the address and port that NAT made of it.
    pub observed_endpoint: SocketAddr,
    /// How often to report.
    pub report_interval_ms: u64,
    /// The broker's clock.
    pub broker_time_ms: u64,
    /// The agent's name at the broker.
    pub agent_name: String,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Counts reports of this connection.
    pub seq: u32,
    /// The agent's own end of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_endpoint: Option<SocketAddr>,
    /// Smoothed round-trip time, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// All printers, if anything about them changed since the last that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printers: Option<Vec<PrinterInfo>>,
}

/// Answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOk {
    /// Which report.
    pub seq: u32,
    /// The broker's clock.
    pub broker_time_ms: u64,
    /// A new interval, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_interval_ms: Option<u64>,
}

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

/// WebSocket subprotocol of agents.
pub const AGENT_SUBPROTOCOL: &str = "inkwire.agent.v1";
/// WebSocket subprotocol of pairing.
pub const PAIR_SUBPROTOCOL: &str = "inkwire.pair.v1";
/// WebSocket subprotocol of apps.
pub const APP_SUBPROTOCOL: &str = "inkwire.app.v1";
/// Path of the agents' WebSocket.
pub const AGENT_PATH: &str = "/v1/agent";
/// Path of the pairing WebSocket.
pub const PAIR_PATH: &str = "/v1/pair";
/// Path of the apps' WebSocket.
pub const APP_PATH: &str = "/v1/app";
