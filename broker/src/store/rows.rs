//! What the store keeps, as its callers see it.

use std::net::SocketAddr;

use bytes::Bytes;
use inkwire_protocol::app::{Counts, Job, PrinterSettings, PrinterStats, Role, Scope, WebhookDisabled};
use inkwire_protocol::ids::{
    AccountId, AgentId, Attempt, DocumentId, Epoch, EventOffset, FactSeq, JobId, KeyId, LoginId, PrinterId,
    Sha256Digest, SpoolId, StoreEpoch, UserId, WebhookId,
};
use inkwire_protocol::job::Standing;
use inkwire_protocol::printer::PrinterInfo;
use inkwire_protocol::session::clone::Instances;
use inkwire_service::Secret;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) id: AccountId,
    /// Unique in the broker.
    pub(crate) name: String,
    pub(crate) created_ms: u64,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    pub(crate) id: UserId,
    pub(crate) account: AccountId,
    /// Unique in the account.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// None: only by a one-time link.
    pub(crate) password: Option<PasswordHash>,
    pub(crate) disabled: bool,
    pub(crate) created_ms: u64,
    pub(crate) last_sign_in_ms: Option<u64>,
}

/// What is kept of a password: an argon2id PHC string. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(pub(crate) String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(masked)")
    }
}

/// A person's sign-in; of its secret only the SHA-256 is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginRow {
    pub(crate) id: LoginId,
    pub(crate) hash: Sha256Digest,
    pub(crate) account: AccountId,
    pub(crate) user: UserId,
    pub(crate) created_ms: u64,
    pub(crate) last_used_ms: u64,
    /// Whatever is done; what idles ends sooner.
    pub(crate) expires_ms: u64,
}

/// What an account uses, as the store counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsageRow {
    pub(crate) stored_bytes: u64,
    /// Days since 1970 (UTC) of `jobs_today`.
    pub(crate) day: u64,
    pub(crate) jobs_today: u64,
    /// Neither revoked nor expired.
    pub(crate) keys: u32,
    pub(crate) users: u32,
}

/// An API key; of its secret only the SHA-256 is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) id: KeyId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) hash: Sha256Digest,
    pub(crate) scope: Scope,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) revoked_ms: Option<u64>,
    /// To the hour.
    pub(crate) last_used_ms: Option<u64>,
    /// Whose own it is: worth nothing without the person. None where it belongs to the account.
    pub(crate) user: Option<UserId>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentRow {
    pub(crate) id: AgentId,
    pub(crate) account: AccountId,
    /// Ed25519, 32 bytes.
    pub(crate) public_key: [u8; 32],
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) os: String,
    pub(crate) version: String,
    /// The number of the last dial that began a session.
    pub(crate) dial_n: u64,
    pub(crate) epoch: Epoch,
    /// Digest of the session token that was handed out last.
    pub(crate) token: Option<Sha256Digest>,
    /// Its last processes, so that two PCs with one identity are seen.
    pub(crate) instances: Instances,
    pub(crate) spool: Option<SpoolId>,
    pub(crate) ledger_seq: u64,
    /// Facts of this agent that were taken in all.
    pub(crate) facts_acked: u64,
    /// The incarnation of the store that its ledger was last reconciled with.
    pub(crate) reconciled: Option<StoreEpoch>,
    /// Its spool was lost and its jobs are not all sorted out yet.
    pub(crate) spool_lost: bool,
    /// Two PCs use its identity.
    pub(crate) clone: bool,
    pub(crate) revoked_ms: Option<u64>,
    pub(crate) observed_endpoint: Option<SocketAddr>,
    pub(crate) local_endpoint: Option<SocketAddr>,
    /// Its newest session has not been seen to end.
    pub(crate) online: bool,
    /// When the last session began.
    pub(crate) connected_ms: Option<u64>,
    /// When the last session began or ended.
    pub(crate) last_seen_ms: Option<u64>,
    pub(crate) created_ms: u64,
}

/// A printer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PrinterRow {
    pub(crate) id: PrinterId,
    pub(crate) account: AccountId,
    pub(crate) agent: AgentId,
    pub(crate) agent_name: String,
    /// Its name in the account; the agent's name for it unless renamed.
    pub(crate) name: String,
    pub(crate) info: PrinterInfo,
    /// Whether the agent still has it.
    pub(crate) present: bool,
    /// Jobs that have not ended.
    pub(crate) queued_jobs: u64,
    /// What the account has set for it.
    pub(crate) settings: PrinterSettings,
}

/// A job, with what only the broker needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) account: AccountId,
    /// As the account sees it; `job.rev` guards changes.
    pub(crate) job: Job,
    pub(crate) document: DocumentId,
    /// Packet size of the upload while `incoming`, of the current attempt afterwards.
    pub(crate) packet_bytes: u32,
    /// The app wants it held once it is accepted.
    pub(crate) hold: bool,
    /// The last fact that was taken.
    pub(crate) last_fact: Option<(Attempt, FactSeq)>,
    /// How often its bytes arrived damaged.
    pub(crate) corrupt: u32,
}

impl JobRow {
    /// What the transition function needs.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            state: self.job.state,
            attempt: self.job.attempt,
            may_print: self.job.may_print,
            request: self.job.request,
        }
    }
}

/// Where a document's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentContent {
    /// In the row.
    Inline(Bytes),
    /// In its file under `documents/`.
    File,
    /// Not here (yet, or any more).
    Absent,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct JobPage {
    pub(crate) rows: Vec<JobRow>,
    /// `before` of the page of older jobs, where there may be one.
    pub(crate) next: Option<u64>,
    /// `after` of the page of newer jobs, where there may be one.
    pub(crate) previous: Option<u64>,
}

/// A job that waits for a printer's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) number: u64,
    pub(crate) accepted_ms: u64,
}

/// What happened to an account's jobs, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JobCounts {
    /// By hour (Unix milliseconds / 3,600,000), rising; hours in which nothing happened are left out.
    pub(crate) hours: Vec<(u64, Counts)>,
    /// The printers with the most accepted jobs.
    pub(crate) printers: Vec<PrinterStats>,
    pub(crate) uncertain: u64,
    pub(crate) held: u64,
    pub(crate) stopped: u64,
}

/// The ends of an account's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventBounds {
    /// The oldest event still there; one more than `newest` in an empty log.
    pub(crate) oldest: EventOffset,
    /// The newest event; 0 before the first.
    pub(crate) newest: EventOffset,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookRow {
    pub(crate) id: WebhookId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) url: String,
    /// Beginnings of kinds; empty means all.
    pub(crate) kinds: Vec<String>,
    /// Only jobs with this tag.
    pub(crate) tag: Option<String>,
    /// Signs requests: `whsec_...`.
    pub(crate) secret: Secret,
    /// The one before, and until when it signs, too.
    pub(crate) previous: Option<(Secret, u64)>,
    pub(crate) enabled: bool,
    pub(crate) disabled: Option<WebhookDisabled>,
    /// Every event up to here was taken, or hidden by the filter.
    pub(crate) through: EventOffset,
    /// Failures in a row of the event after it, since when, and when it is tried again.
    pub(crate) failures: u32,
    pub(crate) failing_since_ms: Option<u64>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) created_ms: u64,
}

/// A document that the broker fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchRow {
    pub(crate) job: JobId,
    pub(crate) account: AccountId,
    pub(crate) url: String,
    /// What it must be.
    pub(crate) sha256: Option<Sha256Digest>,
}
