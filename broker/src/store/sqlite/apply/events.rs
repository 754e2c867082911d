//! The event log of each account: numbered in the event's own transaction, so that there are no gaps (I7).

use inkwire_protocol::ids::{AccountId, EventOffset};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::super::addressed::Moved;
use super::super::map;
use super::super::writer::Pending;
use super::Fail;
use crate::store::{CommitError, NewEvent};

/// Appends events and says the last one's offset.
pub(super) fn log(
    db: &Connection,
    account: AccountId,
    events: &[NewEvent],
    pending: &mut Pending,
) -> Result<Option<EventOffset>, Fail> {
    if events.is_empty() {
        return Ok(None);
    }
    let last: Option<u64> = db
        .prepare_cached(
            "UPDATE accounts SET last_event = last_event + ?2 WHERE id = ?1 RETURNING last_event",
        )?
        .query_row(params![account.uuid(), events.len()], |row| row.get(0))
        .optional()?;
    let Some(last) = last else { return Err(CommitError::NotFound("account").into()) };
    let first = last + 1 - events.len() as u64;
    let mut insert = db.prepare_cached(
        "INSERT INTO events (account, offset, at_ms, kind, job, agent, printer, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (offset, event) in (first..).zip(events) {
        let data = if event.data == Value::Null { None } else { Some(map::json(&event.data)?) };
        insert.execute(params![
            account.uuid(),
            offset,
            event.at_ms,
            event.kind,
            event.job.map(|id| id.uuid()),
            event.agent.map(|id| id.uuid()),
            event.printer.map(|id| id.uuid()),
            data,
        ])?;
    }
    pending.woken.insert(account);
    pending.moved.extend(events.iter().filter_map(|event| Moved::by(account, event)));
    Ok(Some(EventOffset(last)))
}
