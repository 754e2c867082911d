//! Queries about jobs and their documents.

use async_trait::async_trait;
use inkwire_protocol::app::JobList;
use inkwire_protocol::ids::{AccountId, AgentId, DocumentId, JobId, PrinterId};
use rusqlite::{Connection, Result, Row, params};

use super::read::{all, one};
use super::{SqliteStore, job_pages, map, summary};
use crate::store::{DocumentContent, JobCounts, JobPage, JobRow, ReadError, ReadJobs, Waiting};

#[async_trait]
impl ReadJobs for SqliteStore {
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

    async fn job_counts(
        &self,
        account: AccountId,
        from_hour: u64,
        printers: u32,
    ) -> std::result::Result<JobCounts, ReadError> {
        self.readers.read(move |db| summary::counts(db, account, from_hour, printers)).await
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
