//! The log of an account, and what is pushed beside it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AgentId, EventOffset, IdError, JobId, PrinterId, StoreEpoch};

/// A place in an account's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPosition {
    /// The incarnation of the store that numbered it.
    pub epoch: StoreEpoch,
    /// The offset.
    pub offset: EventOffset,
}

/// `EPOCH:OFFSET`.
impl std::fmt::Display for EventPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl std::str::FromStr for EventPosition {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong =
            || IdError::new("event position", text, "EPOCH:OFFSET, as an event stream's `id` says it");
        let (epoch, offset) = text.split_once(':').ok_or_else(wrong)?;
        let offset = offset.parse().map_err(|_| wrong())?;
        Ok(Self { epoch: epoch.parse().map_err(|_| wrong())?, offset: EventOffset(offset) })
    }
}

/// An [`EventPosition`] in one word, for queries and headers: `EPOCH:OFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor(pub EventPosition);

impl Serialize for EventCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventCursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for EventCursor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventCursor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a place in the account's event log: EPOCH:OFFSET",
            "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,19}$",
        })
    }
}

/// `events.list`: a page of the log, for those who poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EventList {
    /// The last event that was seen (`next` of the page before); none begins with the oldest that is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<EventCursor>,
    /// How many events are looked at: at most 500, 50 unless said. What the filter hides counts too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only kinds that begin with one of these, such as `job.` or `agent.endpoint`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Only this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Only this printer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer: Option<PrinterId>,
    /// Only this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only jobs with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Answer to `events.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// What passed the filter, oldest first.
    pub events: Vec<Event>,
    /// `after` of the next page. What the filter hid is behind it too.
    pub next: EventCursor,
    /// Whether more is there already.
    pub more: bool,
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
    /// Only this printer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer: Option<PrinterId>,
    /// Only this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only jobs with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
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
    /// What else is known, by kind (docs/events.md lists it).
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
