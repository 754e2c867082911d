//! Agents and their printers.

use inkwire_protocol::ids::{AccountId, AgentId, Epoch, PrinterId};
use inkwire_protocol::printer::PrinterInfo;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::map;
use super::super::writer::Pending;
use super::{Fail, events, people};
use crate::store::{AgentRow, CommitError, NewAgent, NewEvent, Outcome};

pub(super) fn find(db: &Connection, agent: AgentId) -> rusqlite::Result<Option<AgentRow>> {
    db.prepare_cached("SELECT * FROM agents WHERE id = ?1")?.query_row([agent.uuid()], map::agent).optional()
}

pub(super) fn event(at_ms: u64, kind: &'static str, agent: AgentId, data: Value) -> NewEvent {
    NewEvent { at_ms, kind, job: None, agent: Some(agent), printer: None, data }
}

pub(super) fn pair(db: &Connection, new: &NewAgent, pending: &mut Pending) -> Result<Outcome, Fail> {
    let account = match (new.account, new.enrolment) {
        (_, Some(hash)) => db
            .prepare_cached(
                "UPDATE enrolments SET used_by = ?2
                 WHERE hash = ?1 AND used_by IS NULL AND expires_ms > ?3 RETURNING account",
            )?
            .query_row(params![hash.as_bytes(), new.id.uuid(), new.at_ms], |row| row.get(0))
            .optional()?
            .map(AccountId::from_uuid),
        (account, None) => account,
    };
    let Some(account) = account else { return Err(CommitError::NotFound("enrolment token").into()) };
    let mut insert = db.prepare_cached(
        "INSERT INTO agents (id, account, public_key, name, hostname, os, version, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let values = params![
        new.id.uuid(),
        account.uuid(),
        new.public_key,
        new.name,
        new.hostname,
        new.os,
        new.version,
        new.at_ms
    ];
    people::inserted(insert.execute(values), "an agent with this key", "account")?;
    let data = json!({ "name": new.name, "hostname": new.hostname });
    events::log(db, account, &[event(new.at_ms, "agent.paired", new.id, data)], pending)?;
    let row = find(db, new.id)?.ok_or(CommitError::NotFound("agent"))?;
    Ok(Outcome::Agent(Box::new(row)))
}

pub(super) fn revoke(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    at_ms: u64,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    let before: Option<Option<u64>> = db
        .prepare_cached("SELECT revoked_ms FROM agents WHERE id = ?1 AND account = ?2")?
        .query_row(params![agent.uuid(), account.uuid()], |row| row.get(0))
        .optional()?;
    match before {
        None => Err(CommitError::NotFound("agent").into()),
        Some(Some(_)) => Ok(Outcome::Done),
        Some(None) => {
            db.prepare_cached("UPDATE agents SET revoked_ms = ?2, token = NULL WHERE id = ?1")?
                .execute(params![agent.uuid(), at_ms])?;
            db.prepare_cached("UPDATE printers SET present = 0 WHERE agent = ?1")?.execute([agent.uuid()])?;
            events::log(db, account, &[event(at_ms, "agent.revoked", agent, Value::Null)], pending)?;
            Ok(Outcome::Done)
        }
    }
}

pub(super) fn rename(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    name: &str,
    at_ms: u64,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    let before = find(db, agent)?.filter(|row| row.account == account);
    let Some(before) = before else { return Err(CommitError::NotFound("agent").into()) };
    if before.name != name {
        db.prepare_cached("UPDATE agents SET name = ?2 WHERE id = ?1")?
            .execute(params![agent.uuid(), name])?;
        let data = json!({ "name": name, "before": before.name });
        events::log(db, account, &[event(at_ms, "agent.renamed", agent, data)], pending)?;
    }
    Ok(Outcome::Agent(Box::new(AgentRow { name: name.to_owned(), ..before })))
}

pub(super) fn release(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    at_ms: u64,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    let clone: Option<bool> = db
        .prepare_cached("SELECT clone FROM agents WHERE id = ?1 AND account = ?2")?
        .query_row(params![agent.uuid(), account.uuid()], |row| row.get(0))
        .optional()?;
    match clone {
        None => return Err(CommitError::NotFound("agent").into()),
        // Nothing to end; and which processes there were must not be forgotten, for the other one may still come.
        Some(false) => return Ok(Outcome::Done),
        Some(true) => {}
    }
    // Two PCs held its spool: what the one that comes back knows is not all that may have been printed.
    db.prepare_cached("UPDATE agents SET clone = 0, instances = '[]', spool_lost = 1 WHERE id = ?1")?
        .execute([agent.uuid()])?;
    events::log(db, account, &[event(at_ms, "agent.released", agent, Value::Null)], pending)?;
    Ok(Outcome::Done)
}

pub(super) fn update_printers(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    epoch: Epoch,
    printers: &[PrinterInfo],
    at_ms: u64,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    let current: Option<u64> = db
        .prepare_cached("SELECT epoch FROM agents WHERE id = ?1 AND account = ?2")?
        .query_row(params![agent.uuid(), account.uuid()], |row| row.get(0))
        .optional()?;
    match current {
        None => Err(CommitError::NotFound("agent").into()),
        Some(current) if current != epoch.0 => Ok(Outcome::Printers { changed: false }),
        Some(_) => {
            let changed = upsert(db, account, agent, printers, at_ms, pending)?;
            Ok(Outcome::Printers { changed })
        }
    }
}

/// Brings the printers of an agent up to what it says. A printer keeps its id for as long as number and name stay together; one that is
/// not named any more stays as a row (its jobs point at it), but is not there.
pub(super) fn upsert(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    printers: &[PrinterInfo],
    at_ms: u64,
    pending: &mut Pending,
) -> Result<bool, Fail> {
    let mut known = known_printers(db, agent)?;
    let mut log = Vec::new();
    let mut note = |kind, id: PrinterId, data| {
        log.push(NewEvent { at_ms, kind, job: None, agent: Some(agent), printer: Some(id), data });
    };
    for info in printers {
        let text = map::json(info)?;
        let same = known.iter().position(|k| k.number == info.number.0 && k.label == info.name);
        let data = || json!({ "number": info.number, "name": info.name, "state": info.state, "reasons": info.state_reasons });
        match same.map(|index| known.swap_remove(index)) {
            Some(old) if old.present && old.info == text => {}
            Some(old) => {
                db.prepare_cached("UPDATE printers SET info = ?2, present = 1 WHERE id = ?1")?
                    .execute(params![old.id, text])?;
                let kind = if old.present { "printer.state" } else { "printer.added" };
                note(kind, PrinterId::from_uuid(old.id), data());
            }
            None => {
                let id = Uuid::now_v7();
                db.prepare_cached(
                    "INSERT INTO printers (id, account, agent, number, label, name, info, present)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 1)",
                )?
                .execute(params![
                    id,
                    account.uuid(),
                    agent.uuid(),
                    info.number.0,
                    info.name,
                    text
                ])?;
                note("printer.added", PrinterId::from_uuid(id), data());
            }
        }
    }
    for gone in known.into_iter().filter(|printer| printer.present) {
        db.prepare_cached("UPDATE printers SET present = 0 WHERE id = ?1")?.execute([gone.id])?;
        note(
            "printer.removed",
            PrinterId::from_uuid(gone.id),
            json!({ "number": gone.number, "name": gone.label }),
        );
    }
    events::log(db, account, &log, pending)?;
    Ok(!log.is_empty())
}

struct KnownPrinter {
    id: Uuid,
    number: u16,
    label: String,
    info: String,
    present: bool,
}

fn known_printers(db: &Connection, agent: AgentId) -> rusqlite::Result<Vec<KnownPrinter>> {
    db.prepare_cached("SELECT id, number, label, info, present FROM printers WHERE agent = ?1")?
        .query_map([agent.uuid()], |row| {
            Ok(KnownPrinter {
                id: row.get(0)?,
                number: row.get(1)?,
                label: row.get(2)?,
                info: row.get(3)?,
                present: row.get(4)?,
            })
        })?
        .collect()
}
