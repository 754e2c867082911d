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
mod session;
mod transfer;

pub use check::OutOfBounds;
pub use decode::{Control, EncodeError, MessageError, decode, encode};
pub use dial::{DIAL_AUDIENCE, DialClaims, DialError, DialRefused};
pub use fact::{Fact, FactMessage, Witness, clip};
pub use pairing::{FromPairing, ToPairing, pairing_proof};
pub use session::{HeldTransfer, Hello, Report, ReportOk, Welcome};
pub use transfer::{Ack, BlockedReason, Open, Refuse, RefuseReason};

use serde::{Deserialize, Serialize};

use crate::ids::{AckReceipt, Attempt, FactSeq, JobId, StoreEpoch, TransferId};
use crate::job::Request;

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
        /// Proof of that number for the broker itself, which the agent keeps with the largest number and gives back in `hello`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<AckReceipt>,
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
