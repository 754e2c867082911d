//! Agents, their sessions, and pairings.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, Epoch, Sha256Digest};

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

/// Answer to `agents.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agents {
    /// All agents of the account, by name.
    pub agents: Vec<Agent>,
}

/// An agent named by its id: `agents.get`, `agents.revoke`, `agents.release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// The agent.
    pub agent: AgentId,
}

/// `agents.rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentRename {
    /// The agent.
    pub agent: AgentId,
    /// Its new name: 1 to 255 characters.
    pub name: String,
}

/// `agents.sessions`: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// The agent.
    pub agent: AgentId,
    /// Only sessions with a smaller epoch: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many; 50 unless said, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Answer to `agents.sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sessions {
    /// The page.
    pub sessions: Vec<Session>,
    /// `before` of the next page; none on the last.
    pub next: Option<u64>,
}

/// One session of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// Its epoch.
    pub epoch: Epoch,
    /// When it began.
    pub began_ms: u64,
    /// When it ended; none while it is live, and where the broker did not live to see its end.
    pub ended_ms: Option<u64>,
    /// Why it ended: the name of its close code.
    pub end: Option<String>,
    /// Whether it is the agent's live session.
    pub live: bool,
    /// Where the broker saw the agent.
    pub observed_endpoint: SocketAddr,
    /// The agent's own end of the connection.
    pub local_endpoint: Option<SocketAddr>,
    /// The agent's version.
    pub version: String,
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
