//! Control messages between agent and broker: JSON text, tagged by `type`.
//!
//! A message of an unknown type decodes to `Unknown`, so that a newer peer can be told what was not
//! understood; a known type with wrong fields is an error. Times are Unix milliseconds by the broker's clock
//! unless the name says otherwise.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{
    Attempt, Epoch, FactSeq, InstanceId, JobId, PrinterNumber, SessionToken, Sha256Digest, SpoolId,
    StoreEpoch, TransferId,
};
use crate::job::{Decision, FactKind, Request};
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
        /// Bytes that went to the device for sure or possibly.
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

/// What an agent and a broker say on `/v1/pair`, before the agent is anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPairing {
    /// The agent asks to be paired.
    Pair {
        /// Its Ed25519 public key, 32 bytes in unpadded base64url.
        public_key: String,
        /// A signature by that key over [`pairing_proof`], base64url.
        proof: String,
        /// The PC's name, shown to whoever approves.
        hostname: String,
        /// Operating system and architecture.
        os: String,
        /// The agent's version.
        version: String,
        /// A one-use enrolment token: then no code is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enrolment: Option<String>,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a broker says on `/v1/pair`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPairing {
    /// First message: what `proof` must sign.
    Challenge {
        /// 32 random bytes, base64url.
        nonce: String,
    },
    /// Somebody must type this code at the broker.
    Code {
        /// Eight characters of Crockford's base32 with a hyphen in the middle (40 bits).
        code: String,
        /// When the code is forgotten.
        expires_in_s: u64,
        /// Where the broker sees the agent.
        observed_endpoint: SocketAddr,
    },
    /// Approved: the agent is somebody.
    Paired {
        /// Its id.
        agent: crate::ids::AgentId,
        /// Its name at the broker.
        agent_name: String,
        /// The account's name.
        account_name: String,
        /// The broker's clock.
        broker_time_ms: u64,
    },
    /// Refused, expired, or the enrolment token is not valid.
    Refused {
        /// In words, with the remedy.
        reason: String,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The bytes that a pairing agent signs: they name the purpose, so that the signature is good for nothing else.
pub fn pairing_proof(nonce: &str, public_key: &str) -> Vec<u8> {
    format!("inkwire pairing v1\n{nonce}\n{public_key}").into_bytes()
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
/// Audience of an agent's dial token.
pub const DIAL_AUDIENCE: &str = "inkwire-agent";

/// Claims of an agent's dial token (JWT, EdDSA by the device key), one for each dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialClaims {
    /// The agent's id.
    pub sub: String,
    /// [`DIAL_AUDIENCE`].
    pub aud: String,
    /// Unix seconds.
    pub iat: u64,
    /// Unix seconds; at most [`crate::limits::DIAL_TOKEN_LIFETIME`] after `iat`.
    pub exp: u64,
    /// Durable at the agent, one more for each dial: a replayed token is dead.
    pub n: u64,
    /// SHA-256 of the session token presented in `hello` (hexadecimal), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub th: Option<String>,
}

/// Body of a 401 to an agent's dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialRefused {
    /// A keyword.
    pub error: DialError,
    /// In words, with the remedy.
    pub detail: String,
    /// The broker's clock: the agent corrects its own idea of time by it.
    pub broker_time_ms: u64,
}

/// Why a dial is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialError {
    /// The token's times do not fit the broker's clock: correct and dial again.
    Clock,
    /// The token's number was used before: dial again with a larger one.
    Replayed,
    /// Not a token, a wrong signature, an unknown agent.
    Unauthenticated,
    /// The agent was revoked.
    Revoked,
    /// Two PCs use this identity.
    Clone,
    /// Too many connections or handshakes: come back later.
    Busy,
}
