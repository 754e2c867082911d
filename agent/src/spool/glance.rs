//! A look at the ledger from another process, while the agent may be running.

use std::path::Path;

use inkwire_protocol::ids::JobId;
use inkwire_protocol::message::Fact;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde::{Deserialize, Serialize};

/// What was told last of any job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastJob {
    /// The job.
    pub job: JobId,
    /// When, by the broker's clock as far as it is known.
    pub at_ms: u64,
    /// What became of it.
    pub fact: Fact,
}

/// The newest fact, and how many attempts have not ended. Says what is wrong where the ledger cannot be read.
pub(crate) fn last_job(path: &Path) -> Result<(Option<LastJob>, u64), String> {
    if !path.exists() {
        return Ok((None, 0));
    }
    look(path).map_err(|error| error.to_string())
}

fn look(path: &Path) -> rusqlite::Result<(Option<LastJob>, u64)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(2))?;
    let newest = db
        .query_row("SELECT job, at_ms, fact FROM facts ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let waiting: i64 =
        db.query_row("SELECT count(*) FROM jobs WHERE phase <> 'ended'", [], |row| row.get(0))?;
    let last = newest.and_then(|(job, at_ms, fact)| {
        let job = JobId::from_uuid(uuid::Uuid::from_bytes(job));
        let fact = serde_json::from_str(&fact).ok()?;
        Some(LastJob { job, at_ms: u64::try_from(at_ms).unwrap_or(0), fact })
    });
    Ok((last, u64::try_from(waiting).unwrap_or(0)))
}
