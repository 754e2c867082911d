//! Jobs and the upload of their documents.

use serde::{Deserialize, Serialize};

use super::Event;
use super::Problem;
use crate::ids::{AgentId, Attempt, JobId, PrinterId, PrinterNumber, Sha256Digest, TransferId};
use crate::job::{Decision, Request, State};
use crate::message::Witness;
use crate::printer::{Delivery, JobOptions, OnUncertain};

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The broker fetches it: the job is `incoming` with the reason `fetching` until the document is on the broker's disk, and `aborted`
    /// with the reason where it cannot be had.
    Url {
        /// `https://` or `http://`, without user and password; the address must be public, or allowed by the broker's configuration.
        url: String,
        /// What the document must be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Digest>,
    },
}

/// `jobs.create`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Job Template attributes; what is left out is as the printer's settings say.
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
    /// What happens when the outcome is not known; the printer's setting unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_uncertain: Option<OnUncertain>,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UploadRefused {
    /// The channel.
    pub transfer: TransferId,
    /// Why: `busy` and `storage-full` may be resumed later, others not.
    pub problem: Problem,
}

/// Why a job is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// A keyword: `agent-offline`, `media-empty`, `agent-restarted` ...
    pub code: String,
    /// In words, with the remedy where there is one.
    pub detail: String,
}

/// A job as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobDetail {
    /// The job.
    pub job: Job,
    /// What happened to it, oldest first.
    pub history: Vec<Event>,
}

/// A job named by its id: `jobs.get`, `jobs.cancel`, `jobs.hold`, `jobs.release`, `jobs.resume_upload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobRef {
    /// The job.
    pub job: JobId,
}

/// `jobs.decide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobDecide {
    /// The job, which is uncertain.
    pub job: JobId,
    /// What is decided.
    pub decision: Decision,
}

/// `jobs.set_priority`: of a job that is not with its agent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobPriority {
    /// The job.
    pub job: JobId,
    /// 1 (lowest) to 100.
    pub priority: u8,
}

/// `jobs.reprint`: a new job with the document of an earlier one, for as long as that is kept, and with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobReprint {
    /// The earlier job, in whatever state but `incoming`.
    pub job: JobId,
    /// Another printer, by id or name; the same one unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer: Option<String>,
    /// Another number of copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<u32>,
    /// Accepted but held until released.
    #[serde(default)]
    pub hold: bool,
    /// Same key and same request within 24 hours: the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// `jobs.list`: newest first. What several filters let pass passes each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Only jobs with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Only jobs whose title has this text in it, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only jobs that were submitted with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Only jobs created at or after this time ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_from_ms: Option<u64>,
    /// ... and before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_to_ms: Option<u64>,
    /// Only jobs that ended at or after this time ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_from_ms: Option<u64>,
    /// ... and before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_to_ms: Option<u64>,
    /// Only jobs with a smaller number: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only jobs with a larger number, the nearest ones: the `previous` of a page. Not together with `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many; 50 unless said, 500 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Answer to `jobs.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Jobs {
    /// The page, newest first whichever way it was asked for. It may hold fewer jobs than asked for, even none, while `next` says
    /// that there may be more: a filter looks at some ten thousand jobs a page at most.
    pub jobs: Vec<Job>,
    /// `before` of the next page, of older jobs; none on the last.
    pub next: Option<u64>,
    /// `after` of the page of newer jobs; none where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
}
