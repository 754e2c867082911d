//! Retention: documents leave after the terminal state and their time, rows later. What has not ended is never touched.

use inkwire_protocol::ids::{AccountId, DocumentId};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Fail, counts};
use crate::limits::{COUNTED_HOURS, KEEP_AUDIT};
use crate::store::Outcome;

const KIND_INLINE: u8 = 1;

pub(super) fn sweep(
    db: &Connection,
    documents_before_ms: u64,
    jobs_before_ms: u64,
    now_ms: u64,
    limit: u32,
) -> Result<Outcome, Fail> {
    let (files, documents) = drop_documents(db, documents_before_ms, limit)?;
    let jobs = drop_jobs(db, jobs_before_ms, limit)?;
    trim_events(db, jobs_before_ms, limit)?;
    db.prepare_cached("DELETE FROM idempotency WHERE expires_ms <= ?1")?.execute([now_ms])?;
    db.prepare_cached("DELETE FROM sign_ins WHERE expires_ms <= ?1")?.execute([now_ms])?;
    db.prepare_cached("DELETE FROM enrolments WHERE expires_ms <= ?1 AND used_by IS NULL")?
        .execute([now_ms])?;
    counts::forget(db, (now_ms / counts::HOUR_MS).saturating_sub(COUNTED_HOURS))?;
    db.prepare_cached("DELETE FROM logins WHERE expires_ms <= ?1")?.execute([now_ms])?;
    db.prepare_cached("DELETE FROM audit WHERE at_ms < ?1")?
        .execute([now_ms.saturating_sub(KEEP_AUDIT.as_millis() as u64)])?;
    let limit = limit as usize;
    Ok(Outcome::Swept { files, more: documents == limit || jobs == limit })
}

fn drop_documents(
    db: &Connection,
    before_ms: u64,
    limit: u32,
) -> Result<(Vec<(AccountId, DocumentId)>, usize), Fail> {
    let rows: Vec<(i64, Uuid, Uuid, Option<u8>)> = db
        .prepare_cached(
            "SELECT j.seq, j.account, j.document, d.kind FROM jobs j LEFT JOIN documents d ON d.id = j.document
             WHERE j.ended_ms IS NOT NULL AND j.kept = 1 AND j.ended_ms < ?1 ORDER BY j.ended_ms LIMIT ?2",
        )?
        .query_map(params![before_ms, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let count = rows.len();
    let mut files = Vec::new();
    for (seq, account, document, kind) in rows {
        db.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([document])?;
        db.prepare_cached("UPDATE jobs SET kept = 0 WHERE seq = ?1")?.execute([seq])?;
        if kind != Some(KIND_INLINE) {
            files.push((AccountId::from_uuid(account), DocumentId::from_uuid(document)));
        }
    }
    Ok((files, count))
}

fn drop_jobs(db: &Connection, before_ms: u64, limit: u32) -> Result<usize, Fail> {
    let rows: Vec<(i64, Uuid, Uuid, u64, String)> = db
        .prepare_cached(
            "SELECT seq, id, account, number, json_extract(spec, '$.tags') FROM jobs WHERE ended_ms IS NOT NULL AND kept = 0 AND ended_ms < ?1
             ORDER BY ended_ms LIMIT ?2",
        )?
        .query_map(params![before_ms, limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, id, account, number, tags) in &rows {
        db.prepare_cached(
            "DELETE FROM job_tags WHERE account = ?1 AND number = ?2
             AND tag IN (SELECT value FROM json_each(?3))",
        )?
        .execute(params![account, number, tags])?;
        db.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
        // Events that subscribers may still read stay until the log's start has passed them.
        db.prepare_cached(
            "DELETE FROM events WHERE job = ?1
             AND offset < (SELECT first_event FROM accounts WHERE id = events.account)",
        )?
        .execute([id])?;
    }
    Ok(rows.len())
}

/// Moves the start of each log past what is older than its time. Events of jobs that still stand stay readable as their history.
fn trim_events(db: &Connection, before_ms: u64, limit: u32) -> Result<(), Fail> {
    let accounts: Vec<(Uuid, u64)> = db
        .prepare_cached("SELECT id, first_event FROM accounts")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (account, first) in accounts {
        let times: Vec<(u64, u64)> = db
            .prepare_cached(
                "SELECT offset, at_ms FROM events WHERE account = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
            )?
            .query_map(params![account, first, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(last) = times.iter().take_while(|(_, at_ms)| *at_ms < before_ms).last() else { continue };
        let next = last.0 + 1;
        db.prepare_cached("UPDATE accounts SET first_event = ?2 WHERE id = ?1")?
            .execute(params![account, next])?;
        db.prepare_cached(
            "DELETE FROM events WHERE account = ?1 AND offset >= ?2 AND offset < ?3
             AND (job IS NULL OR job NOT IN (SELECT id FROM jobs WHERE id = events.job))",
        )?
        .execute(params![account, first, next])?;
    }
    Ok(())
}
