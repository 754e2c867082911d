//! A store in which very many jobs have been: those that a real broker made in it are copied, in bulk SQL, over the time for
//! which jobs are kept.
//!
//! ```text
//!  broker: migrations, real jobs ──▶ ended ──▶ copied row by row, columns as they are:   new ids, numbers, offsets, times
//!                                              jobs · documents (the newest) · events · counts by hour
//! ```

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};

/// Jobs of one transaction.
const CHUNK: u64 = 100_000;
const DAY_MS: u64 = 86_400_000;
/// Jobs are spread over so many days: a day less than rows are kept, so that none leaves while it is measured.
const DAYS: u64 = 89;
/// Documents outlive their jobs by so many days, which is the default.
const DOCUMENT_DAYS: u64 = 7;
/// The newest copy ended so long ago.
const SINCE_NEWEST_MS: u64 = 60_000;

/// What ended in a store before it is filled, in temporary tables: each ended job with its number `n`, its events with theirs.
const TEMPLATES: &str = "
CREATE TEMP TABLE template AS
    SELECT row_number() OVER (ORDER BY number) - 1 AS n, * FROM main.jobs WHERE ended_ms IS NOT NULL;
CREATE UNIQUE INDEX temp.template_n ON template (n);
CREATE TEMP TABLE template_event AS
    SELECT t.n, row_number() OVER (ORDER BY t.n, e.offset) - 1 AS place, t.created_ms, t.bytes, e.*
    FROM template t JOIN main.events e ON e.job = t.id;
CREATE INDEX temp.template_event_n ON template_event (n, place);
CREATE TEMP TABLE template_document AS SELECT t.n, d.* FROM template t JOIN main.documents d ON d.id = t.document;
CREATE UNIQUE INDEX temp.template_document_n ON template_document (n);
CREATE TEMP TABLE copy (i INTEGER PRIMARY KEY, n INTEGER, id BLOB, document BLOB, created_ms INTEGER);
";

/// A UUID of version 7 as the broker makes them: milliseconds, then what nobody else has.
macro_rules! uuid7 {
    ($ms:literal, $variant:literal) => {
        concat!(
            "unhex(printf('%012x', ",
            $ms,
            ") || printf('7%03x', (i * 2654435761) & 4095) || '",
            $variant,
            "' || printf('%015x', i * 2654435761))"
        )
    };
}

/// The copies of one transaction: which job each is a copy of, its ids and its time.
const COPIES: &str = concat!(
    "INSERT INTO copy WITH RECURSIVE copies (i, created_ms) AS (
         SELECT ?1, ?3 + ?1 * ?4 / ?5
         UNION ALL SELECT i + 1, ?3 + (i + 1) * ?4 / ?5 FROM copies WHERE i + 1 < ?2
     ) SELECT i, i % ?6, ",
    uuid7!("created_ms", "8"),
    ", ",
    uuid7!("created_ms", "9"),
    ", created_ms FROM copies"
);

/// Hours are counted where events are logged, by the job's printer.
const COUNTS: &str = "
INSERT INTO main.job_counts (account, hour, printer, accepted, bytes, completed, aborted, canceled, expired, uncertain)
SELECT t.account, (t.at_ms - t.created_ms + c.created_ms) / 3600000, j.printer, sum(t.kind = 'job.accepted'),
    sum(CASE t.kind WHEN 'job.accepted' THEN t.bytes ELSE 0 END), sum(t.kind = 'job.completed'),
    sum(t.kind = 'job.aborted'), sum(t.kind = 'job.canceled'), sum(t.kind = 'job.expired'), sum(t.kind = 'job.uncertain')
FROM copy c CROSS JOIN template j ON j.n = c.n CROSS JOIN template_event t ON t.n = c.n
WHERE t.kind IN ('job.accepted', 'job.completed', 'job.aborted', 'job.canceled', 'job.expired', 'job.uncertain')
GROUP BY 1, 2, 3
ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, bytes = bytes + excluded.bytes,
    completed = completed + excluded.completed, aborted = aborted + excluded.aborted, canceled = canceled + excluded.canceled,
    expired = expired + excluded.expired, uncertain = uncertain + excluded.uncertain";

/// The jobs that were copied leave: their numbers are the oldest and their times the newest, and a real store has none such. Those
/// that have not ended stay, and their events as their history.
const AFTER: &str = "
UPDATE main.accounts SET
    last_event = (SELECT coalesce(max(offset), last_event) FROM main.events WHERE account = accounts.id),
    last_job = (SELECT coalesce(max(number), last_job) FROM main.jobs WHERE account = accounts.id);
DELETE FROM main.events WHERE job IN (SELECT id FROM template);
DELETE FROM main.documents WHERE id IN (SELECT document FROM template);
DELETE FROM main.jobs WHERE id IN (SELECT id FROM template);
DROP TABLE template; DROP TABLE template_event; DROP TABLE template_document; DROP TABLE copy;
PRAGMA main.journal_mode = WAL;
";

/// Copies the jobs that have ended in this store until there are so many copies; the broker must have stopped.
pub(crate) fn fill(store: &Path, jobs: u64) -> Result<()> {
    let db = Connection::open(store).with_context(|| store.display().to_string())?;
    // What is lost in a crash here is begun again.
    db.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -262144",
    )?;
    db.execute_batch(TEMPLATES)?;
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0));
    let templates = one("SELECT count(*) FROM template")?;
    ensure!(templates > 0, "no job has ended in this store: there is nothing to copy");
    let events = one("SELECT count(*) FROM template_event")?;
    let first_offset = one("SELECT max(last_event) + 1 FROM main.accounts")?;
    let first_number = one("SELECT max(last_job) + 1 FROM main.accounts")?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64;
    let span = DAYS * DAY_MS;
    let oldest = now_ms - SINCE_NEWEST_MS - span;
    let kept_since = now_ms - DOCUMENT_DAYS * DAY_MS + DAY_MS / 24;
    let moved = |column: &str| format!("t.{column} - t.created_ms + c.created_ms");
    let insert = [
        copying(
            &db,
            "jobs",
            &[
                ("seq", "NULL"),
                ("id", "c.id"),
                ("number", &format!("{first_number} + c.i")),
                ("document", "c.document"),
                ("created_ms", "c.created_ms"),
                ("expires_ms", &moved("expires_ms")),
                ("accepted_ms", &moved("accepted_ms")),
                ("ended_ms", &moved("ended_ms")),
                ("kept", &format!("c.created_ms >= {kept_since}")),
            ],
            "template t ON t.n = c.n",
        )?,
        copying(
            &db,
            "documents",
            &[("seq", "NULL"), ("id", "c.document")],
            &format!("template_document t ON t.n = c.n AND c.created_ms >= {kept_since}"),
        )?,
        copying(
            &db,
            "events",
            &[
                ("offset", &format!("{first_offset} + (c.i / {templates}) * {events} + t.place")),
                ("at_ms", &moved("at_ms")),
                ("job", "c.id"),
            ],
            "template_event t ON t.n = c.n",
        )?,
    ];
    db.execute("UPDATE main.accounts SET first_event = ?1", params![first_offset])?;
    for from in (0..jobs).step_by(usize::try_from(CHUNK)?) {
        let to = (from + CHUNK).min(jobs);
        let transaction = db.unchecked_transaction()?;
        transaction.execute("DELETE FROM copy", [])?;
        transaction.execute(COPIES, params![from, to, oldest, span, jobs, templates])?;
        insert.iter().try_for_each(|sql| transaction.execute(sql, []).map(drop))?;
        transaction.execute(COUNTS, [])?;
        transaction.commit()?;
    }
    db.execute_batch(AFTER).context("after the copies")?;
    drop(db);
    std::fs::File::open(store).and_then(|file| file.sync_all()).context("the store on the disk")
}

/// Copies rows of a table with all their columns but the `changed` ones.
fn copying(db: &Connection, table: &str, changed: &[(&str, &str)], from: &str) -> Result<String> {
    let columns: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for (column, _) in changed {
        ensure!(columns.iter().any(|it| it == column), "{table} has no column {column} (any more)");
    }
    let value = |column: &String| match changed.iter().find(|(name, _)| name == column) {
        Some((_, value)) => (*value).to_owned(),
        None => format!("t.{column}"),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    Ok(format!(
        "INSERT INTO main.{table} ({columns}) SELECT {values} FROM copy c CROSS JOIN {from} ORDER BY c.i"
    ))
}
