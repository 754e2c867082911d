//! What is read from the ledger.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, FactSeq, JobId, SessionToken, StoreEpoch};
use inkwire_protocol::message::{FactMessage, Open};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::LedgerError;
use super::change::{JobKey, Phase};

/// The reading connection.
pub(super) struct Reader(Mutex<Connection>);

impl Reader {
    pub(super) fn new(db: Connection) -> Self {
        Self(Mutex::new(db))
    }

    pub(super) fn with<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        query(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An undecided attempt, as the ledger knows it.
#[derive(Debug, Clone)]
pub(crate) struct JobRow {
    pub(crate) key: JobKey,
    pub(crate) phase: Phase,
    pub(crate) open: Open,
    pub(crate) copies_done: u32,
    pub(crate) intent: Option<Value>,
    pub(crate) delivered: u64,
    /// Whether the document lies in the ledger.
    pub(crate) inline: bool,
}

/// What the ledger knows of one attempt of a job when the job is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptRow {
    pub(crate) attempt: Attempt,
    pub(crate) phase: Phase,
    /// An intent was written, or copies are done.
    pub(crate) begun: bool,
}

/// What outlives the process besides jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) store_epoch: Option<StoreEpoch>,
    pub(crate) session: Option<SessionToken>,
    pub(crate) clock_offset_ms: Option<i64>,
}

pub(crate) fn meta(db: &Connection) -> Result<Meta, LedgerError> {
    let row = db.query_row("SELECT store_epoch, session, clock_offset_ms FROM meta", [], |row| {
        Ok((
            row.get::<_, Option<String>>(0)?,
            row.get::<_, Option<String>>(1)?,
            row.get::<_, Option<i64>>(2)?,
        ))
    })?;
    Ok(Meta {
        store_epoch: row.0.map(|text| text.parse()).transpose().map_err(unreadable)?,
        session: row.1.map(|text| text.parse()).transpose().map_err(unreadable)?,
        clock_offset_ms: row.2,
    })
}

/// Every undecided attempt.
pub(crate) fn undecided(db: &Connection) -> Result<Vec<JobRow>, LedgerError> {
    let sql = "SELECT job, attempt, phase, open, copies_done, intent, delivered,
               EXISTS (SELECT 1 FROM documents d WHERE d.job = jobs.job AND d.attempt = jobs.attempt)
               FROM jobs WHERE phase <> 'ended'";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(job_row(row)?);
    }
    Ok(jobs)
}

fn job_row(row: &Row<'_>) -> Result<JobRow, LedgerError> {
    let open: String = row.get(3)?;
    let intent: Option<String> = row.get(5)?;
    let phase: String = row.get(2)?;
    Ok(JobRow {
        key: key(row, 0, 1)?,
        phase: phase_of(&phase)?,
        open: serde_json::from_str(&open).map_err(unreadable)?,
        copies_done: row.get(4)?,
        intent: intent.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?,
        delivered: natural(row.get(6)?),
        inline: row.get(7)?,
    })
}

/// Every attempt of a job that the ledger knows.
pub(crate) fn attempts(db: &Connection, job: JobId) -> Result<Vec<AttemptRow>, LedgerError> {
    let sql = "SELECT attempt, phase, intent IS NOT NULL OR copies_done > 0 FROM jobs WHERE job = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([job.as_bytes()])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let phase: String = row.get(1)?;
        attempts.push(AttemptRow {
            attempt: Attempt(row.get(0)?),
            phase: phase_of(&phase)?,
            begun: row.get(2)?,
        });
    }
    Ok(attempts)
}

/// The newest job that the ledger knows.
pub(super) fn newest_job(db: &Connection) -> Result<Option<JobId>, LedgerError> {
    let newest: Option<[u8; 16]> = db.query_row("SELECT MAX(job) FROM jobs", [], |row| row.get(0))?;
    Ok(newest.map(|bytes| JobId::from_uuid(uuid::Uuid::from_bytes(bytes))))
}

/// A small document.
pub(crate) fn document(db: &Connection, key: JobKey) -> Result<Option<Bytes>, LedgerError> {
    let sql = "SELECT data FROM documents WHERE job = ?1 AND attempt = ?2";
    let mut statement = db.prepare_cached(sql)?;
    let data: Option<Vec<u8>> =
        statement.query_row(params![key.job.as_bytes(), key.attempt.0], |row| row.get(0)).optional()?;
    Ok(data.map(Bytes::from))
}

/// Facts that the broker has not acknowledged, in order, after the one with this id.
pub(crate) fn unacked_facts(
    db: &Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, FactMessage)>, LedgerError> {
    let sql = "SELECT id, job, attempt, fact_seq, ledger_seq, at_ms, fact FROM facts
               WHERE acked = 0 AND id > ?1 ORDER BY id LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let JobKey { job, attempt } = key(row, 1, 2)?;
        let fact: String = row.get(6)?;
        let message = FactMessage {
            job,
            attempt,
            fact_seq: FactSeq(row.get(3)?),
            ledger_seq: natural(row.get(4)?),
            at_ms: natural(row.get(5)?),
            fact: serde_json::from_str(&fact).map_err(unreadable)?,
        };
        facts.push((row.get(0)?, message));
    }
    Ok(facts)
}

/// The numbers of printers, by name.
pub(crate) fn printer_numbers(db: &Connection) -> Result<Vec<(String, u16)>, LedgerError> {
    let mut statement = db.prepare("SELECT name, number FROM printers")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn key(row: &Row<'_>, job: usize, attempt: usize) -> Result<JobKey, LedgerError> {
    let bytes: [u8; 16] = row.get(job)?;
    Ok(JobKey::new(JobId::from_uuid(uuid::Uuid::from_bytes(bytes)), Attempt(row.get(attempt)?)))
}

fn phase_of(keyword: &str) -> Result<Phase, LedgerError> {
    Phase::from_keyword(keyword)
        .ok_or_else(|| LedgerError::Unusable(format!("unknown phase `{keyword}` in the ledger")))
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn unreadable(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Unusable(format!("a row of the ledger cannot be read: {error}"))
}
