//! Reading the event log.

use async_trait::async_trait;
use inkwire_protocol::app::Event;
use inkwire_protocol::ids::{AccountId, AgentId, EventOffset, JobId, PrinterId};
use rusqlite::{Connection, Result, Row, params};
use serde_json::Value;

use super::read::{all, one};
use super::{SqliteStore, map};
use crate::store::{EventBounds, ReadError, ReadEvents};

#[async_trait]
impl ReadEvents for SqliteStore {
    async fn job_events(&self, account: AccountId, job: JobId) -> std::result::Result<Vec<Event>, ReadError> {
        self.readers.read(move |db| of_job(db, account, job)).await
    }

    async fn events_after(
        &self,
        account: AccountId,
        offset: EventOffset,
        limit: u32,
    ) -> std::result::Result<Vec<Event>, ReadError> {
        self.readers.read(move |db| after(db, account, offset, limit)).await
    }

    async fn event_bounds(&self, account: AccountId) -> std::result::Result<EventBounds, ReadError> {
        self.readers.read(move |db| bounds(db, account)).await
    }
}

fn event(row: &Row<'_>) -> Result<Event> {
    let data: Option<String> = row.get("data")?;
    Ok(Event {
        offset: EventOffset(row.get("offset")?),
        at_ms: row.get("at_ms")?,
        kind: row.get("kind")?,
        job: row.get::<_, Option<_>>("job")?.map(JobId::from_uuid),
        agent: row.get::<_, Option<_>>("agent")?.map(AgentId::from_uuid),
        printer: row.get::<_, Option<_>>("printer")?.map(PrinterId::from_uuid),
        data: data.map_or(Ok(Value::Null), |text| map::from_json("data", &text))?,
    })
}

pub(super) fn of_job(db: &Connection, account: AccountId, job: JobId) -> Result<Vec<Event>> {
    let sql = "SELECT * FROM events WHERE job = ?1 AND account = ?2 ORDER BY offset";
    all(db, sql, [job.uuid(), account.uuid()], event)
}

pub(super) fn after(
    db: &Connection,
    account: AccountId,
    offset: EventOffset,
    limit: u32,
) -> Result<Vec<Event>> {
    // What lies before the log's start is only kept as the history of jobs that still stand, and has gaps.
    let sql = "SELECT e.* FROM events e WHERE e.account = ?1 AND e.offset > ?2
         AND e.offset >= (SELECT first_event FROM accounts WHERE id = ?1) ORDER BY e.offset LIMIT ?3";
    let after = i64::try_from(offset.0).unwrap_or(i64::MAX);
    all(db, sql, params![account.uuid(), after, limit], event)
}

pub(super) fn bounds(db: &Connection, account: AccountId) -> Result<EventBounds> {
    let sql = "SELECT first_event, last_event FROM accounts WHERE id = ?1";
    let found = one(db, sql, [account.uuid()], |row| {
        Ok(EventBounds { oldest: EventOffset(row.get(0)?), newest: EventOffset(row.get(1)?) })
    })?;
    Ok(found.unwrap_or(EventBounds { oldest: EventOffset(1), newest: EventOffset(0) }))
}
