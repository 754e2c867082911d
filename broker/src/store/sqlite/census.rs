//! Counts over all accounts.

use inkwire_protocol::job::State;
use rusqlite::{Connection, Result};

use crate::store::Census;

/// Looks only at jobs that have not ended, by the index that dispatch uses, and at agents.
pub(super) fn take(db: &Connection) -> Result<Census> {
    let mut jobs: Vec<(State, u64)> =
        State::ALL.into_iter().filter(|state| !state.is_terminal()).map(|state| (state, 0)).collect();
    let mut by_state =
        db.prepare_cached("SELECT state, count(*) FROM jobs WHERE ended_ms IS NULL GROUP BY state")?;
    let mut rows = by_state.query([])?;
    while let Some(row) = rows.next()? {
        let keyword: String = row.get(0)?;
        if let Some((_, count)) = jobs.iter_mut().find(|(state, _)| state.keyword() == keyword) {
            *count = row.get(1)?;
        }
    }
    let sql = "SELECT count(*), coalesce(sum(clone AND revoked_ms IS NULL), 0), coalesce(sum(revoked_ms IS NOT NULL), 0)
        FROM agents";
    let (agents, clones, revoked) =
        db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Census { jobs, agents, clones, revoked })
}
