//! A look at the store from outside, by another process or while no broker runs: it reads and writes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Result, Row, params};
use uuid::Uuid;

use super::{OpenError, schema};

/// Rows of one query: others' commits go in between.
const RUN: u32 = 500;
/// Problems that SQLite shall list.
const PROBLEMS: u32 = 100;

/// A store that is only looked at.
#[derive(Debug)]
pub(crate) struct Inspector {
    db: Connection,
    version: u32,
}

/// A document, as its row says.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) account: AccountId,
    pub(crate) document: DocumentId,
    pub(crate) held: Held,
}

/// Where a document is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is still coming.
    Coming,
    /// In its row. What the row says of it, and whether that is so.
    Row { bytes: u64, sha256: Option<Sha256Digest>, content: Option<Vec<u8>> },
    /// In its file, which must be so.
    File { bytes: u64, sha256: Option<Sha256Digest> },
    /// The row says nothing that could be.
    Unknown(i64),
}

impl Inspector {
    /// Opens the store for reading. A newer broker's is refused.
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.pragma_update(None, "query_only", true)?;
        let version = schema::version(&db)?;
        Ok(Self { db, version })
    }

    /// Whether the next start migrates it.
    pub(crate) const fn is_older(&self) -> bool {
        self.version < schema::VERSION
    }

    /// What SQLite itself finds wrong with the file, and rows whose owners are missing.
    pub(crate) fn problems(&self, quick: bool) -> Result<Vec<String>> {
        let how = if quick { "quick_check" } else { "integrity_check" };
        let mut found = self
            .db
            .prepare(&format!("PRAGMA {how}({PROBLEMS})"))?
            .query_map([], |row| row.get::<_, String>(0))?
            .filter(|line| line.as_ref().map_or(true, |line| line != "ok"))
            .collect::<Result<Vec<_>>>()?;
        let mut orphans = self
            .db
            .prepare("SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2")?;
        let orphans = orphans.query_map([], |row| {
            let (table, parent, count) =
                (row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?);
            Ok(format!("{count} rows of {table} belong to no row of {parent}"))
        })?;
        found.extend(orphans.collect::<Result<Vec<_>>>()?);
        Ok(found)
    }

    /// The next documents behind row `after`, with the number of the last row; none at the end.
    pub(crate) fn documents(&self, after: i64) -> Result<Option<(Vec<Entry>, i64)>> {
        let sql =
            "SELECT seq, account, id, kind, bytes, sha256, CASE kind WHEN 1 THEN content END FROM documents
                   WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let mut last = after;
        let entries: Vec<Entry> = self
            .db
            .prepare_cached(sql)?
            .query_map(params![after, RUN], |row| {
                last = row.get(0)?;
                entry(row)
            })?
            .collect::<Result<_>>()?;
        Ok(if entries.is_empty() { None } else { Some((entries, last)) })
    }

    /// What the row of a document says now.
    pub(crate) fn document(&self, account: AccountId, document: DocumentId) -> Result<Option<Held>> {
        let sql =
            "SELECT seq, account, id, kind, bytes, sha256, CASE kind WHEN 1 THEN content END FROM documents
                   WHERE id = ?1 AND account = ?2";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row(params![document.uuid(), account.uuid()], entry)
            .optional()?;
        Ok(found.map(|entry| entry.held))
    }

    /// Jobs, and how many have not ended.
    pub(crate) fn jobs(&self) -> Result<(u64, u64)> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE ended_ms IS NULL) FROM jobs";
        self.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Jobs that were accepted, have not ended, and whose document has no row or has not come: account, number, state.
    pub(crate) fn jobs_without_document(&self) -> Result<Vec<(String, u64, String)>> {
        let sql = "SELECT coalesce(a.name, '?'), j.number, j.state FROM jobs j
                   LEFT JOIN documents d ON d.id = j.document LEFT JOIN accounts a ON a.id = j.account
                   WHERE j.ended_ms IS NULL AND j.state <> 'incoming' AND coalesce(d.kind, 0) = 0
                   ORDER BY j.seq LIMIT 1000";
        self.db.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    }

    /// Where the counts of an account and what they count do not agree.
    pub(crate) fn books(&self) -> Result<Vec<(String, String)>> {
        // One statement sees one moment.
        let sql = "SELECT a.name, a.first_event, a.last_event, a.last_job, coalesce(u.stored_bytes, 0),
                (SELECT count(*) FROM events e WHERE e.account = a.id AND e.offset >= a.first_event),
                (SELECT coalesce(max(offset), 0) FROM events e WHERE e.account = a.id),
                (SELECT coalesce(max(number), 0) FROM jobs j WHERE j.account = a.id),
                (SELECT coalesce(sum(bytes), 0) FROM documents d WHERE d.account = a.id)
            FROM accounts a LEFT JOIN account_usage u ON u.account = a.id ORDER BY a.name";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut wrong = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let number = |column: usize| row.get::<_, i64>(column);
            let (first, last, events, newest) = (number(1)?, number(2)?, number(5)?, number(6)?);
            let mut say = |text: String| wrong.push((name.clone(), text));
            if newest > last || events != last - first + 1 {
                say(format!(
                    "events {first} to {last} should be there, {events} are, the newest is {newest}"
                ));
            }
            if number(7)? > number(3)? {
                say(format!("the newest job is {}, the count says {}", number(7)?, number(3)?));
            }
            if number(4)? != number(8)? {
                say(format!("documents have {} bytes, the count says {}", number(8)?, number(4)?));
            }
        }
        Ok(wrong)
    }

    /// The mark of the store's present life (`store.incarnation` has the same), and none before its first start.
    pub(crate) fn mark(&self) -> Result<Option<Uuid>> {
        self.db.query_row("SELECT value FROM meta WHERE key = 'incarnation'", [], |row| row.get(0)).optional()
    }

    /// Copies the store as it is at one moment to a new file, while others go on writing, and looks at the copy.
    pub(crate) fn snapshot(&self, to: &Path) -> std::result::Result<(), SnapshotError> {
        let damaged = |why| SnapshotError::Copy { path: to.to_owned(), why };
        {
            let mut copy = Connection::open(to)?;
            copy.pragma_update(None, "synchronous", "full")?;
            let backup = Backup::new(&self.db, &mut copy)?;
            // All in one step: in WAL mode it is one moment, and nobody waits for it.
            while !matches!(backup.step(-1)?, StepResult::Done) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let copy = Self::open(to).map_err(|error| damaged(error.to_string()))?;
        match copy.problems(true)?.into_iter().next() {
            Some(problem) => Err(damaged(problem)),
            None => Ok(()),
        }
    }
}

/// Why the store could not be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the store cannot be copied: {0}")]
    Engine(#[from] rusqlite::Error),
    #[error("the copy {} is damaged ({why}): look at both disks, and at the store with `inkwire admin check`", path.display())]
    Copy { path: PathBuf, why: String },
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    let (account, document): (Uuid, Uuid) = (row.get(1)?, row.get(2)?);
    let bytes = || row.get::<_, Option<u64>>(4).map(Option::unwrap_or_default);
    let sha256 = || {
        let digest: Option<[u8; 32]> = row.get(5)?;
        Ok::<_, rusqlite::Error>(digest.map(Sha256Digest::from_bytes))
    };
    let held = match row.get(3)? {
        0 => Held::Coming,
        1 => Held::Row { bytes: bytes()?, sha256: sha256()?, content: row.get(6)? },
        2 => Held::File { bytes: bytes()?, sha256: sha256()? },
        other => Held::Unknown(other),
    };
    Ok(Entry { account: AccountId::from_uuid(account), document: DocumentId::from_uuid(document), held })
}
