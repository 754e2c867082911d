//! The log of an account, and what is pushed beside it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AgentId, EventOffset, JobId, PrinterId, StoreEpoch};

/// A place in an account's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPosition {
    /// The incarnation of the store that numbered it.
    pub epoch: StoreEpoch,
    /// The offset.
    pub offset: EventOffset,
}

/// `events.subscribe`: replays what came after `after`, then follows. One subscription a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Subscribe {
    /// The last event that was seen (the `through` of the last message); none begins now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<EventPosition>,
    /// Only kinds that begin with one of these, such as `job.` or `agent.endpoint`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Only this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Also progress of transfers (pushed, not logged).
    pub progress: bool,
}

/// Answer to `events.subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subscribed {
    /// Where the subscription begins: what comes is after it.
    pub from: EventPosition,
    /// False: `after` cannot be resumed (another epoch, or older than the log): read the state anew; events follow from `from`.
    pub resumed: bool,
    /// The oldest event that is still there.
    pub oldest: EventOffset,
}

/// Notification `events`: a run of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Events {
    /// The incarnation of the store.
    pub epoch: StoreEpoch,
    /// What passed the filter.
    pub events: Vec<Event>,
    /// Everything up to here was looked at: `after` of a later subscription.
    pub through: EventOffset,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Its place in the account's log.
    pub offset: EventOffset,
    /// When.
    pub at_ms: u64,
    /// What: `job.accepted`, `job.sending`, `job.completed`, `agent.online`, `agent.endpoint`, `printer.state` ...
    pub kind: String,
    /// The job it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The agent it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The printer it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer: Option<PrinterId>,
    /// What else is known, by kind (docs/protocol.md lists it).
    #[serde(default)]
    pub data: Value,
}

/// Notification `job.progress`: not logged, newest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobProgress {
    /// The job.
    pub job: JobId,
    /// Bytes durable at the agent.
    pub received_bytes: u64,
    /// Bytes given to the device, all copies together.
    pub delivered_bytes: u64,
}
