//! What can be asked of a store, by room. Every query takes the account, and an unknown and a foreign id answer alike (`None`). Where a
//! query takes no account, its doc says who asks.

use async_trait::async_trait;
use inkwire_protocol::app::{
    AccountLimits, AuditEntry, AuditList, Delivery, EndpointChange, Enrolment, Event, JobList, Session,
};
use inkwire_protocol::ids::{
    AccountId, AgentId, DeliveryId, DocumentId, EventOffset, JobId, KeyId, LoginId, PrinterId, Sha256Digest,
    UserId, WebhookId,
};

use super::ReadError;
use super::rows::{
    AccountRow, AgentRow, DocumentContent, EventBounds, FetchRow, JobCounts, JobPage, JobRow, KeyRow,
    LoginRow, PrinterRow, UsageRow, UserRow, Waiting, WebhookRow,
};

/// Accounts, people, keys, limits and the audit log.
#[async_trait]
pub(crate) trait ReadPeople {
    /// All accounts, by name (admin).
    async fn accounts(&self) -> Result<Vec<AccountRow>, ReadError>;
    /// One account.
    async fn account(&self, account: AccountId) -> Result<Option<AccountRow>, ReadError>;
    /// The account of this name (admin).
    async fn account_named(&self, name: &str) -> Result<Option<AccountRow>, ReadError>;
    /// The users of an account, by name.
    async fn users(&self, account: AccountId) -> Result<Vec<UserRow>, ReadError>;
    /// One person.
    async fn user(&self, account: AccountId, user: UserId) -> Result<Option<UserRow>, ReadError>;
    /// The person of this name.
    async fn user_named(&self, account: AccountId, name: &str) -> Result<Option<UserRow>, ReadError>;
    /// The sign-in of this secret, by its SHA-256; also expired ones (authentication decides).
    async fn login_by_hash(&self, hash: Sha256Digest) -> Result<Option<LoginRow>, ReadError>;
    /// A sign-in (authentication: of a live connection).
    async fn login(&self, login: LoginId) -> Result<Option<LoginRow>, ReadError>;
    /// The keys of an account, newest first, revoked ones too: at most `limit`, older than `before`.
    async fn keys(
        &self,
        account: AccountId,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<KeyRow>, ReadError>;
    /// One key.
    async fn key(&self, account: AccountId, key: KeyId) -> Result<Option<KeyRow>, ReadError>;
    /// The key of this secret, by its SHA-256; also revoked and expired ones (authentication decides).
    async fn key_by_hash(&self, hash: Sha256Digest) -> Result<Option<KeyRow>, ReadError>;
    /// The enrolment tokens of an account, newest first, at most `limit`.
    async fn enrolments(&self, account: AccountId, limit: u32) -> Result<Vec<Enrolment>, ReadError>;
    /// An account's own limits.
    async fn account_limits(&self, account: AccountId) -> Result<AccountLimits, ReadError>;
    /// What an account uses.
    async fn usage(&self, account: AccountId, now_ms: u64) -> Result<UsageRow, ReadError>;
    /// A page of administrative acts, newest first; `limit` of the filter must be set by the caller.
    async fn audit(&self, account: AccountId, filter: &AuditList) -> Result<Vec<AuditEntry>, ReadError>;
}

/// Agents with their sessions, and printers.
#[async_trait]
pub(crate) trait ReadAgents {
    /// All agents of an account, by name.
    async fn agents(&self, account: AccountId) -> Result<Vec<AgentRow>, ReadError>;
    /// One agent.
    async fn agent(&self, account: AccountId, agent: AgentId) -> Result<Option<AgentRow>, ReadError>;
    /// One agent by its id alone: only for the dial, where the id comes from a token that its key must have signed.
    async fn dialling_agent(&self, agent: AgentId) -> Result<Option<AgentRow>, ReadError>;
    /// Where an agent was seen, newest first.
    async fn endpoint_changes(
        &self,
        account: AccountId,
        agent: AgentId,
        limit: u32,
    ) -> Result<Vec<EndpointChange>, ReadError>;
    /// At most `limit` sessions of an agent with a smaller epoch than `before`, newest first.
    async fn sessions(
        &self,
        account: AccountId,
        agent: AgentId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Session>, ReadError>;
    /// Agents without a session: (agent, gone since, the longest it was away between its last sessions). This process began at
    /// `started_ms`: sessions from before are over.
    async fn absences(
        &self,
        account: AccountId,
        started_ms: u64,
    ) -> Result<Vec<(AgentId, u64, Option<u64>)>, ReadError>;
    /// All printers of an account, by agent and number, with their count of waiting jobs.
    async fn printers(&self, account: AccountId) -> Result<Vec<PrinterRow>, ReadError>;
    /// One printer.
    async fn printer(&self, account: AccountId, printer: PrinterId) -> Result<Option<PrinterRow>, ReadError>;
    /// The printers that a submission means: the one with this id, or all of this name (several agents may use the same one).
    /// From memory where they have not changed; their counts of waiting jobs may be old.
    async fn printers_meant(&self, account: AccountId, wanted: &str) -> Result<Vec<PrinterRow>, ReadError>;
    /// The printers of one agent, gone ones too (dispatch).
    async fn agent_printers(&self, agent: AgentId) -> Result<Vec<PrinterRow>, ReadError>;
}

/// Jobs and their documents.
#[async_trait]
pub(crate) trait ReadJobs {
    /// One job.
    async fn job(&self, account: AccountId, job: JobId) -> Result<Option<JobRow>, ReadError>;
    /// A page of jobs; `limit` of the filter must be set by the caller. However many jobs there are, it costs what it gives and a
    /// bounded number of jobs that a filter hides.
    async fn jobs(&self, account: AccountId, filter: &JobList) -> Result<JobPage, ReadError>;
    /// The jobs of these numbers, where they (still) are.
    async fn jobs_numbered(&self, account: AccountId, numbers: Vec<u64>) -> Result<Vec<JobRow>, ReadError>;
    /// One job by its id alone: only for facts, where the dispatcher then checks that the job is the agent's.
    async fn agent_job(&self, agent: AgentId, job: JobId) -> Result<Option<JobRow>, ReadError>;
    /// Every job that the agent may have something of: `sending` to `stopped`, and `held` or `uncertain` ones (dispatch).
    async fn agent_open_jobs(&self, agent: AgentId) -> Result<Vec<JobRow>, ReadError>;
    /// Every job of the agent that has not ended (an agent is revoked).
    async fn agent_unended_jobs(&self, agent: AgentId) -> Result<Vec<JobRow>, ReadError>;
    /// The first `limit` pending jobs of a printer in queue order, with their small documents (dispatch).
    async fn pending_heads(
        &self,
        printer: PrinterId,
        limit: u32,
    ) -> Result<Vec<(JobRow, DocumentContent)>, ReadError>;
    /// A job's document, for dispatch and for reprints.
    async fn document(
        &self,
        account: AccountId,
        document: DocumentId,
    ) -> Result<Option<DocumentContent>, ReadError>;
    /// Documents that have a file, for the sweep at start: (account, document).
    async fn document_files(&self) -> Result<Vec<(AccountId, DocumentId)>, ReadError>;
    /// Unended jobs that expire at or before `now_ms` and were not asked to, soonest first, and the next expiry after them.
    async fn expiring(&self, now_ms: u64, limit: u32) -> Result<(Vec<JobRow>, Option<u64>), ReadError>;
    /// Uncertain jobs whose policy is not to wait (dispatch, at start).
    async fn undecided(&self, limit: u32) -> Result<Vec<JobRow>, ReadError>;
    /// Unended jobs of agents that were revoked (dispatch, at start).
    async fn orphaned_jobs(&self) -> Result<Vec<JobRow>, ReadError>;
    /// The pending jobs of a printer that were accepted before this time (dispatch, when its agent is back).
    async fn waiting(&self, printer: PrinterId, before_ms: u64) -> Result<Vec<Waiting>, ReadError>;
    /// Jobs whose document is still on its way and that were created before this time (retention).
    async fn stale_uploads(&self, before_ms: u64, limit: u32) -> Result<Vec<JobRow>, ReadError>;
    /// What happened to an account's jobs since this hour (Unix milliseconds / 3,600,000), and what waits for a human.
    async fn job_counts(
        &self,
        account: AccountId,
        from_hour: u64,
        printers: u32,
    ) -> Result<JobCounts, ReadError>;
}

/// The event log.
#[async_trait]
pub(crate) trait ReadEvents {
    /// The events of one job, oldest first.
    async fn job_events(&self, account: AccountId, job: JobId) -> Result<Vec<Event>, ReadError>;
    /// At most `limit` events after `offset`, oldest first, without gaps.
    async fn events_after(
        &self,
        account: AccountId,
        offset: EventOffset,
        limit: u32,
    ) -> Result<Vec<Event>, ReadError>;
    /// The ends of an account's log.
    async fn event_bounds(&self, account: AccountId) -> Result<EventBounds, ReadError>;
}

/// Webhooks, and documents that the broker fetches.
#[async_trait]
pub(crate) trait ReadWebhooks {
    /// All webhooks of an account, oldest first.
    async fn webhooks(&self, account: AccountId) -> Result<Vec<WebhookRow>, ReadError>;
    /// One webhook.
    async fn webhook(&self, account: AccountId, webhook: WebhookId) -> Result<Option<WebhookRow>, ReadError>;
    /// Every webhook that is enabled (at start).
    async fn enabled_webhooks(&self) -> Result<Vec<WebhookRow>, ReadError>;
    /// Requests to a webhook that is known to be the account's, newest first.
    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, ReadError>;
    /// One of them.
    async fn delivery(&self, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, ReadError>;
    /// Every document that is to be fetched (at start).
    async fn fetches(&self) -> Result<Vec<FetchRow>, ReadError>;
}
