//! What can be changed, and how a commit answers.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use inkwire_protocol::app::{AccountLimits, Delivery, PrinterUpdate, Role, WebhookDisabled};
use inkwire_protocol::ids::{
    AccountId, AckReceipt, AgentId, Attempt, DocumentId, EnrolmentId, Epoch, EventOffset, FactSeq,
    InstanceId, JobId, KeyId, LoginId, PrinterId, Sha256Digest, SpoolId, StoreEpoch, UserId, WebhookId,
};
use inkwire_protocol::printer::PrinterInfo;
use serde_json::Value;

use super::bound::Bound;
use super::rows::{
    AccountRow, AgentRow, FetchRow, JobRow, KeyRow, LoginRow, PasswordHash, UserRow, WebhookRow,
};

/// One change. What it answers stands behind the arrow; `Done` where nothing is said.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A new tenant; a name that is taken is [`CommitError::Exists`].
    CreateAccount(AccountRow),
    /// A new person; likewise.
    CreateUser(UserRow),
    /// A one-time sign-in link, of which only the hash is kept.
    CreateSignIn { user: UserId, hash: Sha256Digest, expires_ms: u64 },
    /// Uses a sign-in link -> `User`; [`CommitError::NotFound`] where it is unknown, used or expired, or its user is disabled.
    UseSignIn { hash: Sha256Digest, at_ms: u64 },
    /// A new API key.
    CreateKey(KeyRow),
    /// Revokes a key (again is fine).
    RevokeKey { account: AccountId, key: KeyId, at_ms: u64 },
    /// A one-use enrolment token, of which only the hash is kept.
    CreateEnrolment {
        account: AccountId,
        id: EnrolmentId,
        hash: Sha256Digest,
        created_ms: u64,
        expires_ms: u64,
    },
    /// A paired agent -> `Agent`. With an enrolment hash the token is used up and names the account.
    PairAgent(Box<NewAgent>),
    /// Revokes an agent -> `Done`; its jobs are for [`crate::jobs`] to sort out.
    RevokeAgent { account: AccountId, agent: AgentId, at_ms: u64 },
    /// Ends the quarantine of a cloned identity: whichever PC dials next is the one.
    ReleaseAgent { account: AccountId, agent: AgentId, at_ms: u64 },
    /// A session wants to begin -> `Begun`. One atomic change: every rule of DESIGN §3 and §4 on dial numbers, clones, spools and
    /// restored stores is applied in it.
    BeginSession(Box<BeginSession>),
    /// A session has ended; changes nothing but an event where a newer one has begun.
    EndSession { account: AccountId, agent: AgentId, epoch: Epoch, at_ms: u64, reason: String },
    /// An agent's printers changed; nothing where the epoch is an older one -> `Printers`.
    UpdatePrinters {
        account: AccountId,
        agent: AgentId,
        epoch: Epoch,
        printers: Vec<PrinterInfo>,
        at_ms: u64,
    },
    /// An agent has repeated its ledger for this incarnation of the store.
    Reconciled { agent: AgentId, store_epoch: StoreEpoch },
    /// Every job of a lost spool is sorted out.
    SpoolLossHandled { agent: AgentId, epoch: Epoch },
    /// A new job -> `Job`, with its number; or [`CommitError::Duplicate`] / [`CommitError::OtherRequest`] by its idempotency key.
    CreateJob(Box<NewJob>),
    /// A job stands differently -> `Job`, or [`CommitError::Conflict`].
    UpdateJob(Box<UpdateJob>),
    /// A job's document is whole: its bytes are in the row or in its file.
    StoreDocument { document: DocumentId, bytes: u64, sha256: Sha256Digest, inline: Option<Bytes> },
    /// A fact was taken -> `Fact`. Idempotent by (job, attempt, fact_seq); a fact of an unknown job only counts.
    AcceptFact(AcceptFact),
    /// An event of its own.
    Event { account: AccountId, event: NewEvent },
    /// Retention -> `Swept`: documents of jobs that ended before `documents_before_ms`, then rows of jobs and events before
    /// `jobs_before_ms`, at most `limit` of each. Uncertain jobs are not touched.
    Sweep { documents_before_ms: u64, jobs_before_ms: u64, now_ms: u64, limit: u32 },

    // Jobs, printers, agents.
    /// Gives an agent another name -> `Agent`.
    RenameAgent { account: AccountId, agent: AgentId, name: String, at_ms: u64 },
    /// Changes what an account has set for a printer; nothing is logged where nothing changes.
    UpdatePrinter { account: AccountId, update: Box<PrinterUpdate>, at_ms: u64 },

    // People, limits, audit.
    /// A person is changed -> `User`; [`CommitError::Refused`] where nobody would be left who may administer the account. What the
    /// person has open ends where they are disabled.
    UpdateUser {
        account: AccountId,
        user: UserId,
        name: Option<String>,
        role: Option<Role>,
        disabled: Option<bool>,
    },
    /// Another password, or none -> `User`. Their sign-ins end, but `keep`.
    SetPassword { account: AccountId, user: UserId, password: Option<PasswordHash>, keep: Option<LoginId> },
    /// A person goes, with everything they have open; [`CommitError::Refused`] as above.
    RemoveUser { account: AccountId, user: UserId },
    /// A person signed in.
    BeginLogin(LoginRow),
    /// A sign-in was used; nothing where it has ended.
    UseLogin { login: LoginId, at_ms: u64 },
    /// A person signed out; again is fine.
    EndLogin { login: LoginId },
    /// A key was used.
    UseKey { key: KeyId, at_ms: u64 },
    /// An enrolment token that was not used is none any more.
    RevokeEnrolment { account: AccountId, enrolment: EnrolmentId },
    /// An account's own limits.
    SetLimits { account: AccountId, limits: AccountLimits },
    /// Refuses the whole commit where there is more of something by now than there may be: put it after what adds to it.
    /// [`CommitError::OverQuota`].
    AtMost { account: AccountId, bound: Bound },
    /// An administrative act, to be committed together with what it did.
    Audit(Box<NewAudit>),

    // Webhooks, fetches.
    /// A new webhook.
    CreateWebhook(Box<WebhookRow>),
    /// A webhook as it shall be. Its runner must not run meanwhile.
    UpdateWebhook(Box<WebhookRow>),
    /// A webhook goes, with its log.
    DeleteWebhook { account: AccountId, webhook: WebhookId },
    /// How far a webhook has come; disabled it is an event, too.
    MoveWebhook(Box<MoveWebhook>),
    /// Requests that moved nothing.
    LogDeliveries { webhook: WebhookId, deliveries: Vec<Delivery>, at_ms: u64 },
    /// A document that the broker fetches: commit it after its job.
    BeginFetch(FetchRow),
    /// It was fetched, or will not be; again is fine.
    EndFetch { job: JobId },
}

/// How far a webhook has come.
#[derive(Debug, Clone)]
pub(crate) struct MoveWebhook {
    pub(crate) webhook: WebhookId,
    pub(crate) account: AccountId,
    pub(crate) through: EventOffset,
    pub(crate) failures: u32,
    pub(crate) failing_since_ms: Option<u64>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) disabled: Option<WebhookDisabled>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) at_ms: u64,
}

/// An administrative act; the store numbers it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewAudit {
    pub(crate) account: AccountId,
    pub(crate) at_ms: u64,
    /// `key:ID`, `user:ID`, `token:SUBJECT` or `admin`.
    pub(crate) who: String,
    pub(crate) who_name: String,
    pub(crate) address: Option<IpAddr>,
    /// The method's name.
    pub(crate) action: &'static str,
    /// Kind and id, such as `key:ID`.
    pub(crate) target: String,
    /// Never a secret.
    pub(crate) detail: Value,
}

/// An agent to be.
#[derive(Debug, Clone)]
pub(crate) struct NewAgent {
    pub(crate) id: AgentId,
    /// The account that approved it; none where an enrolment token names it.
    pub(crate) account: Option<AccountId>,
    /// SHA-256 of the enrolment token.
    pub(crate) enrolment: Option<Sha256Digest>,
    pub(crate) public_key: [u8; 32],
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) os: String,
    pub(crate) version: String,
    pub(crate) at_ms: u64,
}

/// A session that wants to begin.
#[derive(Debug, Clone)]
pub(crate) struct BeginSession {
    pub(crate) agent: AgentId,
    /// `n` of the dial token, whose signature was checked.
    pub(crate) dial_n: u64,
    pub(crate) instance: InstanceId,
    pub(crate) spool: SpoolId,
    pub(crate) ledger_seq: u64,
    pub(crate) facts_acked: u64,
    /// By which that number is believed.
    pub(crate) receipt: Option<AckReceipt>,
    /// Digest of the session token that the agent presented.
    pub(crate) presented: Option<Sha256Digest>,
    /// Digest of the session token that `welcome` will carry: the presented one again where it is the agent's, a new one otherwise.
    pub(crate) token: Sha256Digest,
    pub(crate) hostname: String,
    pub(crate) os: String,
    pub(crate) version: String,
    pub(crate) observed_endpoint: SocketAddr,
    pub(crate) local_endpoint: Option<SocketAddr>,
    pub(crate) printers: Vec<PrinterInfo>,
    pub(crate) at_ms: u64,
}

/// How a wish to begin a session ended. Only `Started` is a session; the others close the connection with their code.
#[derive(Debug, Clone)]
pub(crate) enum Begun {
    Started(Box<Started>),
    /// The dial token was used before, or a newer one was.
    Replayed,
    /// The agent was revoked, or there is no such agent.
    Revoked,
    /// Two PCs use the identity: this one and the live session, if any, are to be closed.
    Clone,
}

/// A session that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    /// The agent as it stands now.
    pub(crate) agent: AgentRow,
    /// The incarnation of the store, which may have changed with this very commit.
    pub(crate) store_epoch: StoreEpoch,
    /// The presented token was this agent's last one.
    pub(crate) resumed: bool,
    /// It was seen at another endpoint before.
    pub(crate) moved: bool,
    /// Another spool, or an older one than was last seen.
    pub(crate) spool_lost: bool,
    /// Its ledger must be repeated before anything new is dispatched.
    pub(crate) reconciling: bool,
    /// How long the agent had no session; none where nobody knows (its first one, or the broker did not live to see the end).
    pub(crate) absent_ms: Option<u64>,
    /// This very `hello` has shown that the store was restored: no live session of the old incarnation may go on.
    pub(crate) store_restored: bool,
    /// It claims more acknowledged facts than the store has taken in, without a receipt: that is not believed.
    pub(crate) unproven: bool,
    /// Where `reconciling`: jobs of the account up to this number were in the store when its present incarnation began.
    pub(crate) restored_jobs: u64,
}

/// An event to be logged; the store numbers it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    pub(crate) at_ms: u64,
    pub(crate) kind: &'static str,
    pub(crate) job: Option<JobId>,
    pub(crate) agent: Option<AgentId>,
    pub(crate) printer: Option<PrinterId>,
    pub(crate) data: Value,
}

/// A job to be.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    /// Its number and rev are the store's to give.
    pub(crate) row: JobRow,
    pub(crate) document: NewDocument,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) events: Vec<NewEvent>,
}

/// The document of a new job.
#[derive(Debug, Clone)]
pub(crate) enum NewDocument {
    /// Small enough for the row.
    Inline(Bytes),
    /// Still to come.
    Upload,
    /// In its file, synced under its final name.
    File,
}

/// What makes a repeated request the same one.
#[derive(Debug, Clone)]
pub(crate) struct Idempotency {
    pub(crate) key: String,
    /// Over the whole request, the document's digest included.
    pub(crate) request: Sha256Digest,
    pub(crate) expires_ms: u64,
}

/// A job that is to stand differently.
#[derive(Debug, Clone)]
pub(crate) struct UpdateJob {
    /// The row as it shall be; `row.job.rev` is the rev that it was derived from. It grows by one for each event, and at least by one.
    pub(crate) row: JobRow,
    pub(crate) events: Vec<NewEvent>,
}

/// A fact that is to be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcceptFact {
    pub(crate) agent: AgentId,
    pub(crate) job: JobId,
    pub(crate) attempt: Attempt,
    pub(crate) fact_seq: FactSeq,
    pub(crate) ledger_seq: u64,
}

/// What a change answered.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Done,
    User(Box<UserRow>),
    Agent(Box<AgentRow>),
    Begun(Begun),
    /// Whether anything was changed.
    Printers {
        changed: bool,
    },
    /// The row as it stands.
    Job(Box<JobRow>),
    /// How many facts of the agent were taken in all; `news` is false for a repeated one.
    Fact {
        facts_acked: u64,
        receipt: AckReceipt,
        news: bool,
    },
    /// Files that have no row any more and may be removed now; `more` where the limit was reached.
    Swept {
        files: Vec<(AccountId, DocumentId)>,
        more: bool,
    },
}

/// Why nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CommitError {
    /// Somebody changed the job in between: this is how it stands now.
    #[error("job {} was changed in between", .0.job.id)]
    Conflict(Box<JobRow>),
    /// The idempotency key made this job before, from the same request.
    #[error("the idempotency key made job {} before", .0.job.id)]
    Duplicate(Box<JobRow>),
    /// The idempotency key made this job before, from another request.
    #[error("the idempotency key was used for another request, which made job {0}")]
    OtherRequest(JobId),
    /// No such thing, or it is another account's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The name is taken.
    #[error("there is already {0} of this name")]
    Exists(&'static str),
    /// The account has all that it may have.
    #[error("over the account's quota: {0:?}")]
    OverQuota(Bound),
    /// Not in this state; says why and what would do.
    #[error("{0}")]
    Refused(&'static str),
    /// The store has failed or is closed; the process is about to end.
    #[error("the store has stopped")]
    Stopped,
    /// The engine refused it; the cause is in the log.
    #[error("the store refused a change: {0}")]
    Engine(String),
}
