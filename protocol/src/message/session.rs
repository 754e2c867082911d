//! The session: who and where an agent is, what it holds, and signs of life.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{AckReceipt, Attempt, Epoch, InstanceId, JobId, SessionToken, SpoolId, StoreEpoch};
use crate::printer::PrinterInfo;

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
    /// The receipt that came with this number: what the broker believes it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<AckReceipt>,
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
