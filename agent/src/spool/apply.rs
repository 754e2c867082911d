//! Changes as SQL. Runs inside the writer's transaction.

use inkwire_protocol::ids::{AckReceipt, FactSeq};
use inkwire_protocol::message::FactMessage;
use rusqlite::{Connection, params};

use super::LedgerError;
use super::change::{Change, JobKey, Phase};
use super::fresh::Told;

/// What the writer carries from commit to commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    pub(super) ledger_seq: u64,
    pub(super) next_fact_id: i64,
    pub(super) facts_acked: u64,
    /// The broker's receipt for that number.
    pub(super) receipt: Option<AckReceipt>,
    pub(super) dial_n: u64,
}

impl Counters {
    pub(super) fn load(db: &Connection) -> Result<Self, LedgerError> {
        let sql = "SELECT ledger_seq, facts_acked, dial_n, receipt FROM meta";
        let (ledger_seq, facts_acked, dial_n, receipt) = db.query_row(sql, [], |row| {
            let receipt: Option<String> = row.get(3)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, receipt))
        })?;
        let next_fact_id: i64 =
            db.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM facts", [], |row| row.get(0))?;
        let natural = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Self {
            ledger_seq: natural(ledger_seq),
            next_fact_id,
            facts_acked: natural(facts_acked),
            receipt: receipt.and_then(|text| text.parse().ok()),
            dial_n: natural(dial_n),
        })
    }
}

impl Counters {
    /// Writes down what a commit has changed of them; the rest was written as it changed.
    pub(super) fn store(&self, db: &Connection, before: &Self) -> Result<(), LedgerError> {
        let seq = signed(self.ledger_seq);
        if (self.facts_acked, self.receipt) == (before.facts_acked, before.receipt) {
            db.prepare_cached("UPDATE meta SET ledger_seq = ?1")?.execute([seq])?;
        } else {
            let receipt = self.receipt.map(|receipt| receipt.to_string());
            db.prepare_cached("UPDATE meta SET ledger_seq = ?1, facts_acked = ?2, receipt = ?3")?
                .execute(params![seq, signed(self.facts_acked), receipt])?;
        }
        Ok(())
    }
}

/// Applies one change.
#[allow(clippy::too_many_lines, reason = "one arm a change: splitting it would hide that the list is whole")]
pub(super) fn apply(
    db: &Connection,
    change: &Change,
    counters: &mut Counters,
    told: &mut Told,
) -> Result<(), LedgerError> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<usize, LedgerError> {
        Ok(db.prepare_cached(sql)?.execute(params)?)
    };
    match change {
        Change::Begin { key, open } => insert(db, *key, Phase::Receiving, open)?,
        Change::Store { key, open, document } => {
            insert(db, *key, Phase::Ready, open)?;
            let sql = "INSERT INTO documents (job, attempt, data) VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?.execute(params![key.job.as_bytes(), key.attempt.0, document.as_ref()])?;
        }
        Change::Supersede { key, at_ms } => {
            let sql = "DELETE FROM documents WHERE job = ?1 AND attempt < ?2 AND EXISTS (SELECT 1 FROM jobs
                       WHERE jobs.job = documents.job AND jobs.attempt = documents.attempt AND phase <> 'ended')";
            run(sql, params![key.job.as_bytes(), key.attempt.0])?;
            let sql = "UPDATE jobs SET phase = 'ended', outcome = 'superseded', ended_ms = ?3
                       WHERE job = ?1 AND attempt < ?2 AND phase <> 'ended'";
            run(sql, params![key.job.as_bytes(), key.attempt.0, signed(*at_ms)])?;
        }
        Change::Move { key, phase } => {
            update(db, *key, "phase = ?3", &phase.keyword())?;
        }
        Change::Intent { key, note } => {
            update(db, *key, "intent = ?3", &note.to_string())?;
        }
        Change::NoIntent { key } => {
            update(db, *key, "delivered = ?3, intent = NULL", &0)?;
        }
        Change::CopyDone { key, copies_done } => {
            update(db, *key, "copies_done = ?3, intent = NULL, delivered = 0", copies_done)?;
        }
        Change::Delivered { key, bytes } => {
            update(db, *key, "delivered = ?3", &signed(*bytes))?;
        }
        Change::End { key, outcome, at_ms } => {
            let sql =
                "INSERT INTO jobs (job, attempt, phase, outcome, ended_ms) VALUES (?1, ?2, 'ended', ?3, ?4)
                       ON CONFLICT DO UPDATE SET phase = 'ended', outcome = ?3, ended_ms = ?4, intent = NULL";
            run(sql, params![key.job.as_bytes(), key.attempt.0, outcome, signed(*at_ms)])?;
            drop_document(db, *key)?;
        }
        Change::Abandon { key, at_ms } => {
            told.changed = true;
            drop_document(db, *key)?;
            let (job, attempt) = (key.job.as_bytes(), key.attempt.0);
            run("DELETE FROM facts WHERE job = ?1 AND attempt = ?2", params![job, attempt])?;
            let sql = "UPDATE jobs SET phase = 'ended', outcome = 'spool-lost', ended_ms = ?3, intent = NULL
                       WHERE job = ?1 AND attempt = ?2";
            run(sql, params![job, attempt, signed(*at_ms)])?;
        }
        Change::Forget { key } => {
            drop_document(db, *key)?;
            run(
                "DELETE FROM jobs WHERE job = ?1 AND attempt = ?2",
                params![key.job.as_bytes(), key.attempt.0],
            )?;
        }
        Change::Fact { key, fact, at_ms } => {
            let fact = &super::bounded::bounded(fact.clone());
            let text =
                serde_json::to_string(fact).map_err(|error| LedgerError::Unusable(error.to_string()))?;
            let sql = "INSERT INTO facts (id, job, attempt, fact_seq, ledger_seq, at_ms, fact) VALUES (?1, ?2, ?3,
                       (SELECT COALESCE(MAX(fact_seq), 0) + 1 FROM facts WHERE job = ?2 AND attempt = ?3), ?4, ?5, ?6)
                       RETURNING fact_seq";
            let (id, ledger_seq) = (counters.next_fact_id, counters.ledger_seq);
            let values =
                params![id, key.job.as_bytes(), key.attempt.0, signed(ledger_seq), signed(*at_ms), text];
            let fact_seq = db.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            let (job, attempt, fact_seq) = (key.job, key.attempt, FactSeq(fact_seq));
            let fact = fact.clone();
            told.facts.push((id, FactMessage { job, attempt, fact_seq, ledger_seq, at_ms: *at_ms, fact }));
            counters.next_fact_id += 1;
        }
        Change::Repeat { key } => {
            told.changed = true;
            // A larger id puts it behind everything that was sent already.
            let sql = "UPDATE facts SET acked = 0, id = ?3 WHERE id =
                       (SELECT id FROM facts WHERE job = ?1 AND attempt = ?2 ORDER BY fact_seq DESC LIMIT 1)";
            run(sql, params![key.job.as_bytes(), key.attempt.0, counters.next_fact_id])?;
            counters.next_fact_id += 1;
        }
        Change::Acked { key, fact_seq, facts_acked, receipt } => {
            let sql = "UPDATE facts SET acked = 1 WHERE job = ?1 AND attempt = ?2 AND fact_seq = ?3";
            run(sql, params![key.job.as_bytes(), key.attempt.0, fact_seq.0])?;
            told.acked.push((*key, *fact_seq));
            if *facts_acked >= counters.facts_acked {
                // Written down with the number of the commit.
                (counters.facts_acked, counters.receipt) = (*facts_acked, *receipt);
            }
        }
        Change::Session { token } => {
            run("UPDATE meta SET session = ?1", params![token.reveal()])?;
        }
        Change::StoreEpoch { epoch } => {
            told.changed = true;
            let last = "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY job, attempt
                        ORDER BY fact_seq DESC) AS place FROM facts) WHERE place = 1";
            run(&format!("UPDATE facts SET acked = 0 WHERE id IN ({last})"), params![])?;
            (counters.facts_acked, counters.receipt) = (0, None);
            run("UPDATE meta SET store_epoch = ?1", params![epoch.to_string()])?;
        }
        Change::ClockOffset { ms } => {
            run("UPDATE meta SET clock_offset_ms = ?1", params![ms])?;
        }
        Change::Dial => {
            counters.dial_n += 1;
            run("UPDATE meta SET dial_n = ?1", params![signed(counters.dial_n)])?;
        }
        Change::Printer { name, number } => {
            run("INSERT OR REPLACE INTO printers (name, number) VALUES (?1, ?2)", params![name, number])?;
        }
        Change::Prune { before_ms } => {
            let old = "SELECT job, attempt FROM jobs WHERE ended_ms IS NOT NULL AND ended_ms < ?1";
            let sql = format!("DELETE FROM facts WHERE acked = 1 AND (job, attempt) IN ({old})");
            run(&sql, params![signed(*before_ms)])?;
            let sql = "DELETE FROM jobs WHERE ended_ms IS NOT NULL AND ended_ms < ?1 AND NOT EXISTS
                       (SELECT 1 FROM facts WHERE facts.job = jobs.job AND facts.attempt = jobs.attempt)";
            run(sql, params![signed(*before_ms)])?;
        }
    }
    Ok(())
}

fn insert(
    db: &Connection,
    key: JobKey,
    phase: Phase,
    open: &inkwire_protocol::message::Open,
) -> Result<(), LedgerError> {
    let text = serde_json::to_string(open).map_err(|error| LedgerError::Unusable(error.to_string()))?;
    let sql = "INSERT INTO jobs (job, attempt, phase, open) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![key.job.as_bytes(), key.attempt.0, phase.keyword(), text])?;
    Ok(())
}

fn update(db: &Connection, key: JobKey, what: &str, to: &dyn rusqlite::ToSql) -> Result<(), LedgerError> {
    let sql = format!("UPDATE jobs SET {what} WHERE job = ?1 AND attempt = ?2");
    db.prepare_cached(&sql)?.execute(params![key.job.as_bytes(), key.attempt.0, to])?;
    Ok(())
}

fn drop_document(db: &Connection, key: JobKey) -> Result<(), LedgerError> {
    let sql = "DELETE FROM documents WHERE job = ?1 AND attempt = ?2";
    db.prepare_cached(sql)?.execute(params![key.job.as_bytes(), key.attempt.0])?;
    Ok(())
}

/// SQLite's integers are signed; nothing here comes near the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
