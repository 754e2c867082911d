//! What happens to jobs is counted by hour, in the transaction that logs it.

use rusqlite::{Connection, params};

use super::Fail;
use crate::store::{JobRow, NewEvent};

/// An hour: what is counted together.
pub(in crate::store::sqlite) const HOUR_MS: u64 = 3_600_000;

macro_rules! count {
    ($column:literal) => {
        concat!(
            "INSERT INTO job_counts (account, hour, printer, ",
            $column,
            ", bytes) VALUES (?1, ?2, ?3, 1, ?4) ON CONFLICT DO UPDATE SET ",
            $column,
            " = ",
            $column,
            " + 1, bytes = bytes + ?4"
        )
    };
}

/// Counts those of a job's events that a summary shows.
pub(super) fn note(db: &Connection, row: &JobRow, events: &[NewEvent]) -> Result<(), Fail> {
    for event in events {
        let (sql, bytes) = match event.kind {
            "job.accepted" => (count!("accepted"), row.job.bytes),
            "job.completed" => (count!("completed"), 0),
            "job.aborted" => (count!("aborted"), 0),
            "job.canceled" => (count!("canceled"), 0),
            "job.expired" => (count!("expired"), 0),
            "job.uncertain" => (count!("uncertain"), 0),
            _ => continue,
        };
        let hour = event.at_ms / HOUR_MS;
        db.prepare_cached(sql)?.execute(params![row.account.uuid(), hour, row.job.printer.uuid(), bytes])?;
    }
    Ok(())
}

/// Forgets what is older than any summary.
pub(super) fn forget(db: &Connection, before_hour: u64) -> Result<(), Fail> {
    db.prepare_cached("DELETE FROM job_counts WHERE hour < ?1")?.execute([before_hour])?;
    Ok(())
}
