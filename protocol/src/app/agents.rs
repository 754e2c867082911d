//! Agents, printers and pairings.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, Epoch, PrinterId, Sha256Digest};
use crate::printer::PrinterInfo;

/// An agent as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name; the host's unless renamed.
    pub name: String,
    /// Whether a session is live, and if not, why.
    pub status: AgentStatus,
    /// The PC's name.
    pub hostname: String,
    /// Operating system and architecture.
    pub os: String,
    /// The agent's version.
    pub version: String,
    /// SHA-256 of its public key.
    pub fingerprint: Sha256Digest,
    /// The session's epoch: how many sessions it has begun.
    pub epoch: Epoch,
    /// Where the broker sees it (or last saw it): the public address and port that NAT made of it.
    pub observed_endpoint: Option<SocketAddr>,
    /// Its own end of the connection.
    pub local_endpoint: Option<SocketAddr>,
    /// When the session began.
    pub connected_ms: Option<u64>,
    /// When it was last heard of.
    pub last_seen_ms: Option<u64>,
    /// Smoothed round-trip time.
    pub rtt_ms: Option<u32>,
    /// When it was paired.
    pub created_ms: u64,
    /// Where it was seen before, newest first (only in `agents.get`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointChange>,
}

/// Whether an agent's session is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AgentStatus {
    /// Live.
    Online,
    /// Live, but it reads nothing and says nothing although something is on its way to it.
    Silent,
    /// No session.
    Offline,
    /// Two PCs use its identity; both are kept out until an operator releases one.
    Clone,
    /// Revoked.
    Revoked,
}

/// One change of an agent's observed endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndpointChange {
    /// When.
    pub at_ms: u64,
    /// Before; none for the first.
    pub from: Option<SocketAddr>,
    /// After.
    pub to: SocketAddr,
    /// The epoch that began there.
    pub epoch: Epoch,
}

/// A printer as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Printer {
    /// Its stable id.
    pub id: PrinterId,
    /// Its agent.
    pub agent: AgentId,
    /// Its agent's name.
    pub agent_name: String,
    /// Its agent's status: a printer of an agent that is offline keeps its last state.
    pub agent_status: AgentStatus,
    /// What its agent says of it; its `name` is the default one.
    pub info: PrinterInfo,
    /// Its name in the account.
    pub name: String,
    /// Jobs that wait for it or are on their way.
    pub queued_jobs: u64,
    /// Whether the agent still has it.
    pub present: bool,
}

/// Answer to `agents.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agents {
    /// All agents of the account, by name.
    pub agents: Vec<Agent>,
}

/// `agents.get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// The agent.
    pub agent: AgentId,
}

/// Answer to `printers.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Printers {
    /// All printers of the account, by agent and number.
    pub printers: Vec<Printer>,
}

/// `pairings.show {code}`: what waits for approval under this code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingCode {
    /// The whole code, with or without its hyphen, in any case.
    pub code: String,
}

/// A pairing that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingPairing {
    /// The PC's name, as it says.
    pub hostname: String,
    /// Operating system and architecture, as it says.
    pub os: String,
    /// Where the broker sees it.
    pub observed_endpoint: SocketAddr,
    /// SHA-256 of its public key; the agent shows the same.
    pub fingerprint: Sha256Digest,
    /// Seconds until it is forgotten.
    pub expires_in_s: u64,
}

/// `pairings.approve`: this code, and exactly this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovePairing {
    /// The code.
    pub code: String,
    /// The fingerprint that was shown.
    pub fingerprint: Sha256Digest,
    /// A name for the agent; its host's unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `pairings.refuse`: the PC is told, and the code is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RefusePairing {
    /// The code.
    pub code: String,
    /// The fingerprint that was shown.
    pub fingerprint: Sha256Digest,
}
