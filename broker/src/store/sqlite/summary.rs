//! What a summary of an account reads: counters by hour, and short runs of indexes.

use inkwire_protocol::app::{Counts, PrinterStats};
use inkwire_protocol::ids::{AccountId, AgentId, PrinterId};
use rusqlite::{Connection, Result, Row, params};

use super::read::all;
use crate::store::JobCounts;

/// Agents looked at for their absence, at most.
const ABSENT: u32 = 1000;

const SUMS: &str =
    "sum(c.accepted), sum(c.bytes), sum(c.completed), sum(c.aborted), sum(c.canceled), sum(c.expired),
    sum(c.uncertain)";

pub(super) fn counts(
    db: &Connection,
    account: AccountId,
    from_hour: u64,
    printers: u32,
) -> Result<JobCounts> {
    let since = params![account.uuid(), from_hour];
    let by_hour = format!(
        "SELECT {SUMS}, c.hour FROM job_counts c WHERE c.account = ?1 AND c.hour >= ?2 GROUP BY c.hour ORDER BY c.hour"
    );
    let by_printer = format!(
        "SELECT {SUMS}, c.printer, coalesce(p.name, '') FROM job_counts c LEFT JOIN printers p ON p.id = c.printer
         WHERE c.account = ?1 AND c.hour >= ?2 GROUP BY c.printer ORDER BY 1 DESC, c.printer LIMIT ?3"
    );
    let state = |state: &str| -> Result<u64> {
        let sql = "SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE account = ?1 AND state = ?2";
        db.prepare_cached(sql)?.query_row(params![account.uuid(), state], |row| row.get(0))
    };
    Ok(JobCounts {
        hours: all(db, &by_hour, since, |row| Ok((row.get(7)?, sums(row)?)))?,
        printers: all(db, &by_printer, params![account.uuid(), from_hour, printers], |row| {
            Ok(PrinterStats {
                printer: PrinterId::from_uuid(row.get(7)?),
                name: row.get(8)?,
                counts: sums(row)?,
            })
        })?,
        uncertain: state("uncertain")?,
        held: state("held")?,
        stopped: state("stopped")?,
    })
}

fn sums(row: &Row<'_>) -> Result<Counts> {
    Ok(Counts {
        accepted: row.get(0)?,
        bytes: row.get(1)?,
        completed: row.get(2)?,
        aborted: row.get(3)?,
        canceled: row.get(4)?,
        expired: row.get(5)?,
        uncertain: row.get(6)?,
    })
}

/// Agents without a session: since when, and the longest gap between their last sessions. A session that began before this process did
/// (`started_ms`) is over, though nobody saw its end.
pub(super) fn absences(
    db: &Connection,
    account: AccountId,
    started_ms: u64,
) -> Result<Vec<(AgentId, u64, Option<u64>)>> {
    let sql = "SELECT a.id, iif(a.online, ?2, a.last_seen_ms),
             (SELECT max(gap) FROM
                 (SELECT lead(began_ms) OVER (ORDER BY epoch) - ended_ms AS gap FROM
                     (SELECT epoch, began_ms, ended_ms FROM agent_sessions s WHERE s.agent = a.id
                      ORDER BY s.epoch DESC LIMIT 20)))
         FROM agents a
         WHERE a.account = ?1 AND a.revoked_ms IS NULL AND a.clone = 0 AND a.last_seen_ms IS NOT NULL
             AND (a.online = 0 OR a.connected_ms < ?2)
         LIMIT ?3";
    all(db, sql, params![account.uuid(), started_ms, ABSENT], |row| {
        Ok((AgentId::from_uuid(row.get(0)?), row.get(1)?, row.get(2)?))
    })
}
