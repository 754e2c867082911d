//! The queries.

use async_trait::async_trait;
use inkwire_protocol::app::{
    AccountLimits, AuditEntry, AuditList, Delivery, EndpointChange, Enrolment, Event, JobList, Session,
};
use inkwire_protocol::ids::{
    AccountId, AgentId, DeliveryId, DocumentId, EventOffset, JobId, KeyId, LoginId, PrinterId, Sha256Digest,
    StoreEpoch, UserId, WebhookId,
};
use rusqlite::{Connection, OptionalExtension as _, Params, Result, Row, params};
use tokio::sync::broadcast;

use super::{SqliteStore, census, events, job_pages, map, read_people as people, summary, webhooks};
use crate::store::{
    AccountRow, AgentRow, Census, Change, CommitError, Depth, DocumentContent, EventBounds, FetchRow,
    JobCounts, JobPage, JobRow, KeyRow, LoginRow, Meters, Outcome, PrinterRow, ReadError, Store, UsageRow,
    UserRow, Waiting, WebhookRow,
};

const PRINTERS: &str = "SELECT p.*, a.name AS agent_name,
    (SELECT count(*) FROM jobs j WHERE j.printer = p.id AND j.ended_ms IS NULL) AS queued, s.settings
    FROM printers p JOIN agents a ON a.id = p.agent LEFT JOIN printer_settings s ON s.printer = p.id";

/// All rows of a query.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    map: fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(values, map)?.collect()
}

/// The row of a query, if there is one.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    map: fn(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(values, map).optional()
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: Vec<Change>) -> std::result::Result<Vec<Outcome>, CommitError> {
        self.write(changes).await
    }

    fn store_epoch(&self) -> StoreEpoch {
        *self.shared.store_epoch.borrow()
    }

    async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the store is closed".to_owned(),
        }
    }

    fn wakeups(&self) -> broadcast::Receiver<AccountId> {
        self.shared.wakeups.subscribe()
    }

    fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    fn queue(&self) -> Depth {
        Depth::of(&self.requests)
    }

    async fn census(&self) -> std::result::Result<Census, ReadError> {
        self.readers.read(census::take).await
    }

    async fn accounts(&self) -> std::result::Result<Vec<AccountRow>, ReadError> {
        self.readers.read(|db| all(db, "SELECT * FROM accounts ORDER BY name", [], map::account)).await
    }

    async fn account(&self, account: AccountId) -> std::result::Result<Option<AccountRow>, ReadError> {
        let sql = "SELECT * FROM accounts WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [account.uuid()], map::account)).await
    }

    async fn account_named(&self, name: &str) -> std::result::Result<Option<AccountRow>, ReadError> {
        let name = name.to_owned();
        self.readers
            .read(move |db| one(db, "SELECT * FROM accounts WHERE name = ?1", [name], map::account))
            .await
    }

    async fn users(&self, account: AccountId) -> std::result::Result<Vec<UserRow>, ReadError> {
        let sql = "SELECT * FROM users WHERE account = ?1 ORDER BY name";
        self.readers.read(move |db| all(db, sql, [account.uuid()], map::user)).await
    }

    async fn user(
        &self,
        account: AccountId,
        user: UserId,
    ) -> std::result::Result<Option<UserRow>, ReadError> {
        self.readers.read(move |db| people::user(db, account, user)).await
    }

    async fn user_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> std::result::Result<Option<UserRow>, ReadError> {
        let name = name.to_owned();
        self.readers.read(move |db| people::user_named(db, account, &name)).await
    }

    async fn login_by_hash(&self, hash: Sha256Digest) -> std::result::Result<Option<LoginRow>, ReadError> {
        let sql = "SELECT * FROM logins WHERE hash = ?1";
        self.readers.read(move |db| one(db, sql, [hash.as_bytes()], map::login)).await
    }

    async fn login(&self, login: LoginId) -> std::result::Result<Option<LoginRow>, ReadError> {
        let sql = "SELECT * FROM logins WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [login.uuid()], map::login)).await
    }

    async fn keys(
        &self,
        account: AccountId,
        before: Option<KeyId>,
        limit: u32,
    ) -> std::result::Result<Vec<KeyRow>, ReadError> {
        self.readers.read(move |db| people::keys(db, account, before, limit)).await
    }

    async fn key(&self, account: AccountId, key: KeyId) -> std::result::Result<Option<KeyRow>, ReadError> {
        let sql = "SELECT * FROM api_keys WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [key.uuid(), account.uuid()], map::key)).await
    }

    async fn enrolments(
        &self,
        account: AccountId,
        limit: u32,
    ) -> std::result::Result<Vec<Enrolment>, ReadError> {
        self.readers.read(move |db| people::enrolments(db, account, limit)).await
    }

    async fn account_limits(&self, account: AccountId) -> std::result::Result<AccountLimits, ReadError> {
        self.readers.read(move |db| people::limits(db, account)).await
    }

    async fn usage(&self, account: AccountId) -> std::result::Result<UsageRow, ReadError> {
        self.readers.read(move |db| people::usage(db, account)).await
    }

    async fn audit(
        &self,
        account: AccountId,
        filter: &AuditList,
    ) -> std::result::Result<Vec<AuditEntry>, ReadError> {
        let filter = filter.clone();
        self.readers.read(move |db| people::audit(db, account, &filter)).await
    }

    async fn key_by_hash(&self, hash: Sha256Digest) -> std::result::Result<Option<KeyRow>, ReadError> {
        let sql = "SELECT * FROM api_keys WHERE hash = ?1";
        self.readers.read(move |db| one(db, sql, [hash.as_bytes()], map::key)).await
    }

    async fn agents(&self, account: AccountId) -> std::result::Result<Vec<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE account = ?1 ORDER BY name, id";
        self.readers.read(move |db| all(db, sql, [account.uuid()], map::agent)).await
    }

    async fn agent(
        &self,
        account: AccountId,
        agent: AgentId,
    ) -> std::result::Result<Option<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [agent.uuid(), account.uuid()], map::agent)).await
    }

    async fn dialling_agent(&self, agent: AgentId) -> std::result::Result<Option<AgentRow>, ReadError> {
        let sql = "SELECT * FROM agents WHERE id = ?1";
        self.readers.read(move |db| one(db, sql, [agent.uuid()], map::agent)).await
    }

    async fn endpoint_changes(
        &self,
        account: AccountId,
        agent: AgentId,
        limit: u32,
    ) -> std::result::Result<Vec<EndpointChange>, ReadError> {
        let sql =
            "SELECT * FROM endpoint_changes WHERE agent = ?1 AND account = ?2 ORDER BY epoch DESC LIMIT ?3";
        let values = move |db: &Connection| {
            all(db, sql, params![agent.uuid(), account.uuid(), limit], map::endpoint_change)
        };
        self.readers.read(values).await
    }

    async fn printers(&self, account: AccountId) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!(
                    "{PRINTERS} WHERE p.account = ?1 ORDER BY a.name, p.agent, p.number, p.present DESC"
                );
                all(db, &sql, [account.uuid()], map::printer)
            })
            .await
    }

    async fn printer(
        &self,
        account: AccountId,
        printer: PrinterId,
    ) -> std::result::Result<Option<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!("{PRINTERS} WHERE p.id = ?1 AND p.account = ?2");
                one(db, &sql, [printer.uuid(), account.uuid()], map::printer)
            })
            .await
    }

    async fn printers_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        let name = name.to_owned();
        self.readers
            .read(move |db| {
                let sql =
                    format!("{PRINTERS} WHERE p.account = ?1 AND p.name = ?2 ORDER BY p.present DESC, p.id");
                all(db, &sql, params![account.uuid(), name], map::printer)
            })
            .await
    }

    async fn agent_printers(&self, agent: AgentId) -> std::result::Result<Vec<PrinterRow>, ReadError> {
        self.readers
            .read(move |db| {
                let sql = format!("{PRINTERS} WHERE p.agent = ?1 ORDER BY p.number");
                all(db, &sql, [agent.uuid()], map::printer)
            })
            .await
    }

    async fn job(&self, account: AccountId, job: JobId) -> std::result::Result<Option<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [job.uuid(), account.uuid()], map::job)).await
    }

    async fn jobs(&self, account: AccountId, filter: &JobList) -> std::result::Result<JobPage, ReadError> {
        let filter = filter.clone();
        self.readers.read(move |db| job_pages::page(db, account, &filter)).await
    }

    async fn jobs_numbered(
        &self,
        account: AccountId,
        numbers: Vec<u64>,
    ) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs INDEXED BY jobs_number WHERE account = ?1 AND number = ?2";
        let query = move |db: &Connection| {
            let found = numbers.into_iter().map(|at| one(db, sql, params![account.uuid(), at], map::job));
            found.filter_map(Result::transpose).collect()
        };
        self.readers.read(query).await
    }

    async fn job_events(&self, account: AccountId, job: JobId) -> std::result::Result<Vec<Event>, ReadError> {
        self.readers.read(move |db| events::of_job(db, account, job)).await
    }

    async fn events_after(
        &self,
        account: AccountId,
        offset: EventOffset,
        limit: u32,
    ) -> std::result::Result<Vec<Event>, ReadError> {
        self.readers.read(move |db| events::after(db, account, offset, limit)).await
    }

    async fn event_bounds(&self, account: AccountId) -> std::result::Result<EventBounds, ReadError> {
        self.readers.read(move |db| events::bounds(db, account)).await
    }

    async fn agent_job(&self, agent: AgentId, job: JobId) -> std::result::Result<Option<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs WHERE id = ?1 AND agent = ?2";
        self.readers.read(move |db| one(db, sql, [job.uuid(), agent.uuid()], map::job)).await
    }

    async fn agent_open_jobs(&self, agent: AgentId) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs INDEXED BY jobs_agent WHERE agent = ?1 AND ended_ms IS NULL
             AND state IN ('sending', 'spooled', 'printing', 'stopped', 'held', 'uncertain')";
        self.readers.read(move |db| all(db, sql, [agent.uuid()], map::job)).await
    }

    async fn agent_unended_jobs(&self, agent: AgentId) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs INDEXED BY jobs_agent WHERE agent = ?1 AND ended_ms IS NULL";
        self.readers.read(move |db| all(db, sql, [agent.uuid()], map::job)).await
    }

    async fn pending_heads(
        &self,
        printer: PrinterId,
        limit: u32,
    ) -> std::result::Result<Vec<(JobRow, DocumentContent)>, ReadError> {
        let sql = "SELECT j.*, d.kind, d.content FROM jobs j INDEXED BY jobs_queue
             LEFT JOIN documents d ON d.id = j.document
             WHERE j.printer = ?1 AND j.state = 'pending' AND j.ended_ms IS NULL
             ORDER BY j.priority DESC, j.accepted_ms, j.number LIMIT ?2";
        let query = move |db: &Connection| {
            all(db, sql, params![printer.uuid(), limit], |row| Ok((map::job(row)?, map::content(row)?)))
        };
        self.readers.read(query).await
    }

    async fn document(
        &self,
        account: AccountId,
        document: DocumentId,
    ) -> std::result::Result<Option<DocumentContent>, ReadError> {
        let sql = "SELECT kind, content FROM documents WHERE id = ?1 AND account = ?2";
        self.readers.read(move |db| one(db, sql, [document.uuid(), account.uuid()], map::content)).await
    }

    async fn expiring(
        &self,
        now_ms: u64,
        limit: u32,
    ) -> std::result::Result<(Vec<JobRow>, Option<u64>), ReadError> {
        self.readers.read(move |db| expiring(db, now_ms, limit)).await
    }

    async fn undecided(&self, limit: u32) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT * FROM jobs WHERE ended_ms IS NULL AND state = 'uncertain'
             AND json_extract(spec, '$.on_uncertain') <> 'hold' LIMIT ?1";
        self.readers.read(move |db| all(db, sql, [limit], map::job)).await
    }

    async fn orphaned_jobs(&self) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT j.* FROM agents a JOIN jobs j INDEXED BY jobs_agent ON j.agent = a.id
             WHERE a.revoked_ms IS NOT NULL AND j.ended_ms IS NULL AND j.state <> 'uncertain'";
        self.readers.read(move |db| all(db, sql, [], map::job)).await
    }

    async fn waiting(
        &self,
        printer: PrinterId,
        before_ms: u64,
    ) -> std::result::Result<Vec<Waiting>, ReadError> {
        let sql = "SELECT number, accepted_ms FROM jobs INDEXED BY jobs_queue
             WHERE printer = ?1 AND state = 'pending' AND ended_ms IS NULL AND accepted_ms < ?2";
        let row = |row: &Row<'_>| Ok(Waiting { number: row.get(0)?, accepted_ms: row.get(1)? });
        self.readers.read(move |db| all(db, sql, params![printer.uuid(), before_ms], row)).await
    }

    async fn stale_uploads(&self, before_ms: u64, limit: u32) -> std::result::Result<Vec<JobRow>, ReadError> {
        let sql = "SELECT j.* FROM accounts a JOIN jobs j INDEXED BY jobs_state ON j.account = a.id
             WHERE j.state = 'incoming' AND j.created_ms < ?1 LIMIT ?2";
        self.readers.read(move |db| all(db, sql, params![before_ms, limit], map::job)).await
    }

    async fn sessions(
        &self,
        account: AccountId,
        agent: AgentId,
        before: Option<u64>,
        limit: u32,
    ) -> std::result::Result<Vec<Session>, ReadError> {
        let sql = "SELECT s.*, iif(a.online, a.epoch, NULL) AS current
             FROM agent_sessions s JOIN agents a ON a.id = s.agent
             WHERE s.agent = ?1 AND s.account = ?2 AND s.epoch < ?3 ORDER BY s.epoch DESC LIMIT ?4";
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let query = move |db: &Connection| {
            all(db, sql, params![agent.uuid(), account.uuid(), before, limit], map::session)
        };
        self.readers.read(query).await
    }

    async fn absences(
        &self,
        account: AccountId,
        started_ms: u64,
    ) -> std::result::Result<Vec<(AgentId, u64, Option<u64>)>, ReadError> {
        self.readers.read(move |db| summary::absences(db, account, started_ms)).await
    }

    async fn job_counts(
        &self,
        account: AccountId,
        from_hour: u64,
        printers: u32,
    ) -> std::result::Result<JobCounts, ReadError> {
        self.readers.read(move |db| summary::counts(db, account, from_hour, printers)).await
    }

    async fn document_files(&self) -> std::result::Result<Vec<(AccountId, DocumentId)>, ReadError> {
        let sql = "SELECT account, id FROM documents WHERE kind <> 1";
        self.readers
            .read(move |db| {
                all(db, sql, [], |row| {
                    Ok((AccountId::from_uuid(row.get(0)?), DocumentId::from_uuid(row.get(1)?)))
                })
            })
            .await
    }

    async fn webhooks(&self, account: AccountId) -> std::result::Result<Vec<WebhookRow>, ReadError> {
        self.readers.read(move |db| webhooks::of_account(db, account)).await
    }

    async fn webhook(
        &self,
        account: AccountId,
        webhook: WebhookId,
    ) -> std::result::Result<Option<WebhookRow>, ReadError> {
        self.readers.read(move |db| webhooks::find(db, account, webhook)).await
    }

    async fn enabled_webhooks(&self) -> std::result::Result<Vec<WebhookRow>, ReadError> {
        self.readers.read(webhooks::enabled).await
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> std::result::Result<Vec<Delivery>, ReadError> {
        self.readers.read(move |db| webhooks::deliveries(db, webhook, before, limit)).await
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> std::result::Result<Option<Delivery>, ReadError> {
        self.readers.read(move |db| webhooks::delivery_of(db, webhook, id)).await
    }

    async fn fetches(&self) -> std::result::Result<Vec<FetchRow>, ReadError> {
        self.readers.read(webhooks::fetches).await
    }
}

fn expiring(db: &Connection, now_ms: u64, limit: u32) -> Result<(Vec<JobRow>, Option<u64>)> {
    let sql = "SELECT * FROM jobs INDEXED BY jobs_expiry WHERE ended_ms IS NULL AND expires_ms <= ?1
         AND state <> 'uncertain' AND (request IS NULL OR request NOT IN ('cancel', 'expire'))
         ORDER BY expires_ms LIMIT ?2";
    let due = all(db, sql, params![now_ms, limit], map::job)?;
    let next =
        "SELECT min(expires_ms) FROM jobs INDEXED BY jobs_expiry WHERE ended_ms IS NULL AND expires_ms > ?1";
    let next: Option<u64> = db.prepare_cached(next)?.query_row([now_ms], |row| row.get(0))?;
    Ok((due, next))
}
