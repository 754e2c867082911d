//! Whether an account has more than it may, within the transaction that adds to it.

use inkwire_protocol::ids::AccountId;
use rusqlite::{Connection, params};

use super::Fail;
use crate::store::{Bound, CommitError, Outcome, jobs_on};

pub(super) fn check(db: &Connection, account: AccountId, bound: Bound) -> Result<Outcome, Fail> {
    let one = |sql: &str| -> rusqlite::Result<u64> {
        db.prepare_cached(sql)?.query_row([account.uuid()], |row| row.get(0))
    };
    let count = match bound {
        Bound::Users(_) => one("SELECT count(*) FROM users WHERE account = ?1")?,
        Bound::Keys { now_ms, .. } => db
            .prepare_cached(
                "SELECT count(*) FROM api_keys
                 WHERE account = ?1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)",
            )?
            .query_row(params![account.uuid(), now_ms], |row| row.get(0))?,
        Bound::Enrolments { now_ms, .. } => db
            .prepare_cached(
                "SELECT count(*) FROM enrolments WHERE account = ?1 AND used_by IS NULL AND expires_ms > ?2",
            )?
            .query_row(params![account.uuid(), now_ms], |row| row.get(0))?,
        Bound::JobsToday { now_ms, .. } => {
            let counted = "SELECT day, jobs_today FROM account_usage WHERE account = ?1";
            let (day, jobs) = db
                .prepare_cached(counted)?
                .query_row([account.uuid()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            jobs_on(now_ms, day, jobs)
        }
        // The document of a job that is incoming is counted as it was announced; afterwards it is counted where it is kept.
        Bound::StoredBytes(_) => one("SELECT stored_bytes + coalesce(
                 (SELECT sum(bytes) FROM jobs INDEXED BY jobs_state WHERE account = ?1 AND state = 'incoming'), 0)
             FROM account_usage WHERE account = ?1")?,
    };
    if bound.is_exceeded_by(count) { Err(CommitError::OverQuota(bound).into()) } else { Ok(Outcome::Done) }
}
