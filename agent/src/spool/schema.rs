//! The ledger's tables. An older program refuses a newer ledger.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::LedgerError;

/// Grows with each migration.
const VERSION: i64 = 2;
/// The oldest SQLite whose WAL is sound (a checkpoint race was mended in 3.51.3).
const MIN_SQLITE: i32 = 3_051_003;

/// From version 1 on, one step a version.
const STEPS: [&str; 1] = ["ALTER TABLE meta ADD COLUMN receipt TEXT"];

const CREATE: &str = "
CREATE TABLE meta (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    agent        TEXT    NOT NULL,
    spool_id     TEXT    NOT NULL,
    ledger_seq   INTEGER NOT NULL DEFAULT 0,
    facts_acked  INTEGER NOT NULL DEFAULT 0,
    receipt      TEXT,
    dial_n       INTEGER NOT NULL DEFAULT 0,
    store_epoch  TEXT,
    session      TEXT,
    clock_offset_ms INTEGER
) STRICT;
CREATE TABLE printers (
    name   TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE
) STRICT;
CREATE TABLE jobs (
    job         BLOB    NOT NULL,
    attempt     INTEGER NOT NULL,
    phase       TEXT    NOT NULL,
    open        TEXT,
    copies_done INTEGER NOT NULL DEFAULT 0,
    intent      TEXT,
    delivered   INTEGER NOT NULL DEFAULT 0,
    outcome     TEXT,
    ended_ms    INTEGER,
    PRIMARY KEY (job, attempt)
) STRICT;
CREATE INDEX jobs_open ON jobs (phase) WHERE phase <> 'ended';
CREATE INDEX jobs_ended ON jobs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE documents (
    job     BLOB    NOT NULL,
    attempt INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (job, attempt)
) STRICT;
CREATE TABLE facts (
    id         INTEGER PRIMARY KEY,
    job        BLOB    NOT NULL,
    attempt    INTEGER NOT NULL,
    fact_seq   INTEGER NOT NULL,
    ledger_seq INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    fact       TEXT    NOT NULL,
    acked      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job, attempt, fact_seq)
) STRICT;
CREATE INDEX facts_unacked ON facts (id) WHERE acked = 0;
";

/// Opens the ledger for writing and creates what is missing. `agent` and `spool` name a new one.
pub(super) fn open(path: &std::path::Path, agent: &str, spool: &str) -> Result<Connection, LedgerError> {
    if rusqlite::version_number() < MIN_SQLITE {
        return Err(LedgerError::Unusable(format!("SQLite {} is too old", rusqlite::version())));
    }
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(CREATE)?;
            transaction
                .execute("INSERT INTO meta (id, agent, spool_id) VALUES (1, ?1, ?2)", [agent, spool])?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        1..=VERSION => {
            let transaction = connection.unchecked_transaction()?;
            for (version, step) in (2..).zip(STEPS).skip_while(|(next, _)| *next <= version) {
                transaction.execute_batch(step)?;
                transaction.pragma_update(None, "user_version", version)?;
            }
            transaction.commit()?;
        }
        found => return Err(LedgerError::Newer { path: path.display().to_string(), found, known: VERSION }),
    }
    let owner: String = connection.query_row("SELECT agent FROM meta", [], |row| row.get(0))?;
    if owner != agent {
        return Err(LedgerError::OtherAgent { owner, agent: agent.into() });
    }
    Ok(connection)
}

/// The version of a ledger; refuses one that a newer program wrote.
pub(super) fn version(connection: &Connection) -> Result<i64, LedgerError> {
    match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        found if found > VERSION => {
            let path = connection.path().unwrap_or_default().to_owned();
            Err(LedgerError::Newer { path, found, known: VERSION })
        }
        found => Ok(found),
    }
}

/// A second connection, for reading only.
pub(super) fn open_reader(path: &std::path::Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    keep_plans(&connection)?;
    Ok(connection)
}

/// Without it SQLite plans a query anew whenever a bound value could make another plan better.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
