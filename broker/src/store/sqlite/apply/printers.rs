//! What an account sets for its printers.

use inkwire_protocol::app::{PrinterSettings, PrinterUpdate};
use inkwire_protocol::ids::{AccountId, AgentId};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;
use uuid::Uuid;

use super::super::map;
use super::super::writer::Pending;
use super::{Fail, events};
use crate::store::{CommitError, NewEvent, Outcome};

/// Brings a printer's name and settings up to `update`. Two updates at once are both applied: what one leaves out it does not undo.
pub(super) fn update(
    db: &Connection,
    account: AccountId,
    update: &PrinterUpdate,
    at_ms: u64,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    let id = update.printer.uuid();
    let found: Option<(Uuid, String, Option<String>)> = db
        .prepare_cached(
            "SELECT p.agent, p.name, s.settings FROM printers p LEFT JOIN printer_settings s ON s.printer = p.id
             WHERE p.id = ?1 AND p.account = ?2",
        )?
        .query_row(params![id, account.uuid()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((agent, old_name, old)) = found else { return Err(CommitError::NotFound("printer").into()) };
    let before = match &old {
        Some(text) => map::from_json("settings", text)?,
        None => PrinterSettings::default(),
    };
    let after = updated(&before, update);
    let name = update.name.as_ref().unwrap_or(&old_name);
    if after == before && *name == old_name {
        return Ok(Outcome::Done);
    }
    db.prepare_cached("UPDATE printers SET name = ?2 WHERE id = ?1")?.execute(params![id, name])?;
    db.prepare_cached("INSERT OR REPLACE INTO printer_settings (printer, settings) VALUES (?1, ?2)")?
        .execute(params![id, map::json(&after)?])?;
    let event = NewEvent {
        at_ms,
        kind: "printer.updated",
        job: None,
        agent: Some(AgentId::from_uuid(agent)),
        printer: Some(update.printer),
        data: json!({ "name": name, "settings": after }),
    };
    events::log(db, account, &[event], pending)?;
    Ok(Outcome::Done)
}

fn updated(before: &PrinterSettings, update: &PrinterUpdate) -> PrinterSettings {
    PrinterSettings {
        options: update.options.clone().unwrap_or_else(|| before.options.clone()),
        on_uncertain: update.on_uncertain.unwrap_or(before.on_uncertain),
        on_return: update.on_return.unwrap_or(before.on_return),
        pacing_bytes_s: match update.pacing_bytes_s {
            Some(0) => None,
            Some(rate) => Some(rate),
            None => before.pacing_bytes_s,
        },
        accepting: update.accepting.unwrap_or(before.accepting),
    }
}
