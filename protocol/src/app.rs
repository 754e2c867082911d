//! The app API in types: what JSON-RPC methods take and give on the WebSocket, and the same over REST.
//!
//! Broker and client share them, so that neither can drift. Times are Unix milliseconds; sizes are bytes. Fields may be
//! added; a client ignores what it does not know, a broker refuses what it does not know.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{
    AccountId, AgentId, Attempt, Epoch, EventOffset, JobId, PrinterId, PrinterNumber, Sha256Digest,
    StoreEpoch, TransferId,
};
use crate::job::{Decision, Request, State};
use crate::message::Witness;
use crate::printer::{Delivery, JobOptions, OnUncertain, PrinterInfo};

/// The names of methods and notifications, once for broker and client.
pub mod method {
    /// [`super::Authenticate`] -> [`super::Me`]; only where the upgrade carried no key.
    pub const AUTHENTICATE: &str = "authenticate";
    /// Nothing -> [`super::Me`].
    pub const ME: &str = "me";
    /// Nothing -> `{}`: a sign of life for those who cannot send a WebSocket ping.
    pub const PING: &str = "ping";
    /// Nothing -> [`super::Agents`].
    pub const AGENTS_LIST: &str = "agents.list";
    /// [`super::AgentRef`] -> [`super::Agent`] with its endpoints' history.
    pub const AGENTS_GET: &str = "agents.get";
    /// Nothing -> [`super::Printers`].
    pub const PRINTERS_LIST: &str = "printers.list";
    /// [`super::JobCreate`] -> [`super::JobCreated`].
    pub const JOBS_CREATE: &str = "jobs.create";
    /// [`super::JobRef`] -> [`super::JobDetail`].
    pub const JOBS_GET: &str = "jobs.get";
    /// [`super::JobList`] -> [`super::Jobs`].
    pub const JOBS_LIST: &str = "jobs.list";
    /// [`super::JobRef`] -> [`super::Job`].
    pub const JOBS_CANCEL: &str = "jobs.cancel";
    /// [`super::JobRef`] -> [`super::Job`].
    pub const JOBS_HOLD: &str = "jobs.hold";
    /// [`super::JobRef`] -> [`super::Job`].
    pub const JOBS_RELEASE: &str = "jobs.release";
    /// [`super::JobDecide`] -> [`super::Job`].
    pub const JOBS_DECIDE: &str = "jobs.decide";
    /// [`super::JobRef`] -> [`super::Upload`], on a job that is `incoming`.
    pub const JOBS_RESUME_UPLOAD: &str = "jobs.resume_upload";
    /// [`super::FinishUpload`] -> [`super::Job`].
    pub const JOBS_FINISH_UPLOAD: &str = "jobs.finish_upload";
    /// [`super::Subscribe`] -> [`super::Subscribed`].
    pub const EVENTS_SUBSCRIBE: &str = "events.subscribe";
    /// [`super::PairingCode`] -> [`super::PendingPairing`].
    pub const PAIRINGS_SHOW: &str = "pairings.show";
    /// [`super::ApprovePairing`] -> [`super::Agent`].
    pub const PAIRINGS_APPROVE: &str = "pairings.approve";

    /// Notification from the broker: [`crate::message::Ack`] of an upload's packets.
    pub const UPLOAD_ACK: &str = "upload.ack";
    /// Notification from the broker: [`super::UploadRefused`].
    pub const UPLOAD_REFUSED: &str = "upload.refused";
    /// Notification from the broker: [`super::Events`].
    pub const EVENTS: &str = "events";
    /// Notification from the broker: [`super::JobProgress`].
    pub const JOB_PROGRESS: &str = "job.progress";
}

/// A JSON-RPC 2.0 request or notification (without `id`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcRequest {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// A number or a string, echoed in the answer; none in a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// The method, such as `jobs.create`.
    pub method: String,
    /// An object; may be left out where nothing is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// A JSON-RPC 2.0 answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcResponse {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// The request's id, null where it could not be read.
    pub id: Value,
    /// The result, where it went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// A JSON-RPC 2.0 error; `data` is the same problem object (RFC 9457) that REST gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// A JSON-RPC code: -32700 to -32600 where the standard has one, -32000 minus the HTTP status otherwise.
    pub code: i64,
    /// The problem's title and detail in one line.
    pub message: String,
    /// The problem.
    pub data: Problem,
}

/// A problem (RFC 9457), the one shape of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable URN: `urn:inkwire:problem:` and the kind's keyword.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence: names the thing and the remedy.
    pub detail: String,
    /// The parameter at fault, as a JSON Pointer, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// When to try again, for `busy` and `storage-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Where the job stands, for `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $name:ident = $keyword:literal, $status:literal, $rpc:literal, $title:literal;)*) => {
        /// Every kind of problem that the API answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $name,)* }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The last part of the type URN.
            pub const fn keyword(self) -> &'static str { match self { $(Self::$name => $keyword,)* } }
            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }
            /// The JSON-RPC code.
            pub const fn rpc_code(self) -> i64 { match self { $(Self::$name => $rpc,)* } }
            /// The title.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

problem_kinds! {
    /// Not JSON.
    Parse = "parse-error", 400, -32700, "the message is not JSON";
    /// JSON, but no JSON-RPC request.
    InvalidRequest = "invalid-request", 400, -32600, "the message is not a JSON-RPC 2.0 request";
    /// No such method or path.
    UnknownMethod = "unknown-method", 404, -32601, "there is no such method";
    /// Parameters missing, of the wrong type, out of range or unknown.
    InvalidParams = "invalid-params", 400, -32602, "a parameter is not valid";
    /// The broker failed; the log of the broker says why.
    Internal = "internal", 500, -32603, "the broker failed";
    /// No key or token, or one that is not valid (any more).
    Unauthenticated = "unauthenticated", 401, -32401, "not signed in";
    /// The key or role may not do this.
    Forbidden = "forbidden", 403, -32403, "not allowed";
    /// No such thing, or not in this account.
    NotFound = "not-found", 404, -32404, "no such thing in this account";
    /// The thing is in a state in which this is not possible.
    Conflict = "conflict", 409, -32409, "not possible in this state";
    /// The idempotency key was used for something else.
    IdempotencyConflict = "idempotency-conflict", 409, -32410, "the idempotency key was used for another job";
    /// Larger than the limit.
    TooLarge = "too-large", 413, -32413, "larger than the limit";
    /// The printer does not take the document's format.
    UnsupportedFormat = "unsupported-format", 415, -32415, "the printer does not take this format";
    /// The document is not what its digest says.
    DigestMismatch = "digest-mismatch", 422, -32422, "the document does not match its digest";
    /// Too many requests.
    Busy = "busy", 429, -32429, "too many requests";
    /// The broker is stopping; come back.
    Draining = "draining", 503, -32503, "the broker is restarting";
    /// The broker has no space for documents.
    StorageFull = "storage-full", 507, -32507, "the broker has no space for documents";
}

impl ProblemKind {
    /// A problem of this kind with its occurrence in words.
    pub fn because(self, detail: impl Into<String>) -> Problem {
        Problem {
            type_: format!("urn:inkwire:problem:{}", self.keyword()),
            title: self.title().to_owned(),
            status: self.status(),
            detail: detail.into(),
            pointer: None,
            retry_after_s: None,
            state: None,
        }
    }
}

impl Problem {
    /// The kind, where this version knows it.
    pub fn kind(&self) -> Option<ProblemKind> {
        let keyword = self.type_.strip_prefix("urn:inkwire:problem:")?;
        ProblemKind::ALL.iter().copied().find(|kind| kind.keyword() == keyword)
    }

    /// The same problem naming the parameter at fault.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

/// What a key may do; each includes the ones after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// See everything of the account.
    Read,
    /// And submit, cancel, hold, release and reprint jobs.
    Submit,
    /// And everything else.
    Admin,
}

/// `authenticate {token}`: the first message where the upgrade carried no `Authorization: Bearer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// An API key.
    pub token: String,
}

/// Who the connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub account_name: String,
    /// What may be done.
    pub scope: Scope,
    /// The key's name.
    pub key_name: String,
}

/// An agent as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Base64 (standard alphabet), for documents up to 64 KiB.
    Inline(String),
    /// A transfer of this many bytes follows on this connection.
    Transfer {
        /// Size of the document.
        bytes: u64,
        /// Its digest, if already known; otherwise `jobs.finish_upload` brings it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Digest>,
        /// Wanted packet size; the answer says the one that holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        packet_bytes: Option<u32>,
    },
}

/// `jobs.create`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobCreate {
    /// The printer's id, or its name in the account where only one printer has it.
    pub printer: String,
    /// The document.
    pub content: Content,
    /// MIME type of the document.
    pub format: String,
    /// Shown to people and given to the device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Same key and same request within 24 hours: the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Job Template attributes.
    #[serde(default)]
    pub options: JobOptions,
    /// How often the document is given to the device.
    #[serde(default = "one")]
    pub qty: u32,
    /// When bytes go to the device.
    #[serde(default)]
    pub delivery: Delivery,
    /// 1 (lowest) to 100.
    #[serde(default = "middle")]
    pub priority: u8,
    /// Seconds until it expires; 14 days unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// What happens when the outcome is not known.
    #[serde(default)]
    pub on_uncertain: OnUncertain,
    /// Accepted but held until released.
    #[serde(default)]
    pub hold: bool,
    /// The app's own words, for finding it again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

const fn one() -> u32 {
    1
}

const fn middle() -> u8 {
    50
}

/// Answer to `jobs.create`. Accepted means that `job.state` is not `incoming`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCreated {
    /// The job.
    pub job: Job,
    /// Whether the idempotency key found an earlier one.
    pub duplicate: bool,
    /// The transfer to send the document on, where it is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

/// A transfer from app to broker; also the answer to `jobs.resume_upload {job}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The channel number for the packets' headers; their printer number is 0.
    pub transfer: TransferId,
    /// Data bytes of every packet but the last.
    pub packet_bytes: u32,
    /// Send from this packet on.
    pub next_seq: u32,
    /// How many packets may be on their way.
    pub credit: u32,
}

/// `jobs.finish_upload`: every packet was sent and acked. Only its answer says "accepted".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishUpload {
    /// The channel.
    pub transfer: TransferId,
    /// Size of the document.
    pub bytes: u64,
    /// Its digest, as the app computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
}

/// Notification `upload.refused`: the broker takes no more of this transfer; the channel is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRefused {
    /// The channel.
    pub transfer: TransferId,
    /// Why: `busy` and `storage-full` may be resumed later, others not.
    pub problem: Problem,
}

/// Why a job is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A keyword: `agent-offline`, `media-empty`, `agent-restarted` ...
    pub code: String,
    /// In words, with the remedy where there is one.
    pub detail: String,
}

/// A job as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its number in the account, for people and for faces that need integers.
    pub number: u64,
    /// Its printer.
    pub printer: PrinterId,
    /// The printer's agent.
    pub agent: AgentId,
    /// The printer's number there.
    pub printer_number: PrinterNumber,
    /// The title.
    pub title: String,
    /// MIME type.
    pub format: String,
    /// Size of the document.
    pub bytes: u64,
    /// Digest of the document, once it is whole.
    pub sha256: Option<Sha256Digest>,
    /// Where it stands.
    pub state: State,
    /// Why it waits or ended.
    pub reason: Option<Reason>,
    /// Who says that it is printed, in `completed`.
    pub witness: Option<Witness>,
    /// The current attempt.
    pub attempt: Attempt,
    /// Whether the agent may have all that it needs to print.
    pub may_print: bool,
    /// What is asked of the agent and not yet answered.
    pub request: Option<Request>,
    /// Bytes durable at the agent, as far as known now.
    pub received_bytes: u64,
    /// Bytes given to the device, as far as known now (all copies together).
    pub delivered_bytes: u64,
    /// Copies asked for.
    pub qty: u32,
    /// When bytes go to the device.
    pub delivery: Delivery,
    /// 1 to 100.
    pub priority: u8,
    /// Job Template attributes.
    pub options: JobOptions,
    /// What could not be honoured, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What happens when the outcome is not known.
    pub on_uncertain: OnUncertain,
    /// The app's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The app's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The job that this one prints again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprint_of: Option<JobId>,
    /// When it was created.
    pub created_ms: u64,
    /// When it was accepted.
    pub accepted_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// When it expires.
    pub expires_ms: u64,
    /// Grows with every change.
    pub rev: u64,
}

/// `jobs.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobDetail {
    /// The job.
    pub job: Job,
    /// What happened to it, oldest first.
    pub history: Vec<Event>,
}

/// A job named by its id: `jobs.get`, `jobs.cancel`, `jobs.hold`, `jobs.release`, `jobs.resume_upload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRef {
    /// The job.
    pub job: JobId,
}

/// `jobs.decide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobDecide {
    /// The job, which is uncertain.
    pub job: JobId,
    /// What is decided.
    pub decision: Decision,
}

/// `jobs.list`: newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobList {
    /// Only these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// Only this printer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer: Option<PrinterId>,
    /// Only this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only jobs with a smaller number: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many; 50 unless said, 500 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Answer to `jobs.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jobs {
    /// The page.
    pub jobs: Vec<Job>,
    /// `before` of the next page; none on the last.
    pub next: Option<u64>,
}

/// Answer to `agents.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agents {
    /// All agents of the account, by name.
    pub agents: Vec<Agent>,
}

/// `agents.get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// The agent.
    pub agent: AgentId,
}

/// Answer to `printers.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Printers {
    /// All printers of the account, by agent and number.
    pub printers: Vec<Printer>,
}

/// `pairings.show {code}`: what waits for approval under this code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairingCode {
    /// The whole code, with or without its hyphen, in any case.
    pub code: String,
}

/// A pairing that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A place in an account's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPosition {
    /// The incarnation of the store that numbered it.
    pub epoch: StoreEpoch,
    /// The offset.
    pub offset: EventOffset,
}

/// `events.subscribe`: replays what came after `after`, then follows. One subscription a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct JobProgress {
    /// The job.
    pub job: JobId,
    /// Bytes durable at the agent.
    pub received_bytes: u64,
    /// Bytes given to the device, all copies together.
    pub delivered_bytes: u64,
}
