//! A copied job is one that the broker could have made: nothing but ids, numbers, offsets and times tells them apart.

use inkwire_client::new_job;
use inkwire_protocol::app::JobList;
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::fill;
use crate::device::{Expected, label, printers};
use crate::load::one;
use crate::ours::Ours;
use crate::ways::inkwire::Inkwire;

const MADE: u64 = 3;
const COPIES: u64 = 40;

/// A store that a broker made, with some jobs that have ended and one that waits; its broker has stopped.
async fn made(dir: &TempDir) -> Inkwire {
    let expected = Expected::default();
    let devices = printers(2, &expected).await.unwrap();
    let ours = block_in_place(|| Ours::start(dir.path(), 1, &devices));
    let apps = ours.apps(1).await.unwrap();
    ours.await_printers(&apps[0], 2).await.unwrap();
    let mut way = Inkwire { ours, apps, printers: 2 };
    for _ in 0..MADE - 1 {
        one(&way, &expected, 0).await.unwrap();
    }
    for cancel in [true, false] {
        let mut job = new_job("printer0", "application/octet-stream");
        job.hold = true;
        let job = way.apps[0].submit(job, label(1)).await.unwrap();
        if cancel {
            way.apps[0].cancel(job.id).await.unwrap();
        }
    }
    way.ours.await_completed(&way.apps[0]).await.unwrap();
    way.ours.rest().unwrap();
    way
}

/// All rows, each with its columns' names.
fn rows(db: &Connection, sql: &str) -> Vec<Vec<(String, Value)>> {
    let mut statement = db.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let value = |(at, name): (usize, &String)| Ok((name.clone(), row.get::<_, Value>(at)?));
        names.iter().enumerate().map(value).collect()
    };
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

fn number(db: &Connection, sql: &str) -> u64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

const JOBS: &str = "SELECT j.*, j.ended_ms - j.created_ms AS took, j.accepted_ms - j.created_ms AS accepted,
        j.expires_ms - j.created_ms AS expires, (SELECT group_concat(kind || coalesce(data, '') || hex(printer) ||
        (at_ms - j.created_ms), ' ') FROM events WHERE job = j.id) AS history, (SELECT hex(d.content) || d.kind || hex(d.sha256)
        || d.bytes || hex(d.account) FROM documents d WHERE d.id = j.document) AS content
    FROM jobs j WHERE j.ended_ms IS NOT NULL ORDER BY j.number";
/// What differs between any two jobs.
const OWN: &[&str] = &[
    "seq",
    "id",
    "number",
    "document",
    "created_ms",
    "expires_ms",
    "accepted_ms",
    "ended_ms",
    "kept",
    "content",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_job_differs_from_a_real_one_in_nothing_but_ids_numbers_and_times() {
    let dir = TempDir::new().unwrap();
    let mut way = made(&dir).await;
    let store = way.ours.broker.data().join("store.sqlite3");
    let real = rows(&Connection::open(&store).unwrap(), JOBS);
    assert_eq!(real.len() as u64, MADE);
    block_in_place(|| fill(&store, COPIES)).unwrap();
    let db = Connection::open(&store).unwrap();
    let copies = rows(&db, JOBS);
    assert_eq!(copies.len() as u64, COPIES);
    for (copy, real) in copies.iter().zip(real.iter().cycle()) {
        for ((name, copied), (_, original)) in copy.iter().zip(real) {
            if OWN.contains(&name.as_str()) {
                let gone = name == "content" && *copied == Value::Null;
                assert!(
                    gone || copied.data_type() == original.data_type(),
                    "{name}: {copied:?} for {original:?}"
                );
            } else {
                assert_eq!(copied, original, "{name}");
            }
        }
    }
    // The newest still have their documents, the same bytes.
    assert_eq!(copies.last().unwrap().last(), real[(COPIES as usize - 1) % real.len()].last());
    consistent(&db);
    drop(db);
    serves(&mut way).await;
}

/// What the store keeps beside the rows agrees with them.
fn consistent(db: &Connection) {
    let events = number(db, "SELECT last_event - first_event + 1 FROM accounts");
    let log = "FROM events WHERE offset >= (SELECT first_event FROM accounts)";
    assert_eq!(number(db, &format!("SELECT count(*) {log}")), events, "the log has no gap");
    assert_eq!(number(db, &format!("SELECT max(offset) - min(offset) + 1 {log}")), events);
    let unsorted =
        "SELECT count(*) FROM jobs a JOIN jobs b ON b.number = a.number + 1 WHERE b.created_ms < a.created_ms
        AND a.ended_ms IS NOT NULL AND b.ended_ms IS NOT NULL";
    assert_eq!(number(db, unsorted), 0, "later numbers are later");
    assert_eq!(
        number(db, "SELECT stored_bytes FROM account_usage"),
        number(db, "SELECT sum(bytes) FROM documents"),
        "the use of the account is that of its documents"
    );
    // Those that were copied and have left are still counted, and the one that waits.
    let accepted = number(db, "SELECT sum(accepted) FROM job_counts");
    assert_eq!(accepted, COPIES + MADE + 1);
    let kept = "SELECT count(*) FROM jobs WHERE ended_ms IS NOT NULL AND kept
        != (SELECT count(*) FROM documents d WHERE d.id = jobs.document)";
    assert_eq!(number(db, kept), 0, "what is kept is there");
}

/// The broker takes the store, lists what is in it and goes on.
async fn serves(way: &mut Inkwire) {
    way.ours.wake();
    let app = way.ours.apps(1).await.unwrap().remove(0);
    let jobs = app.jobs(&JobList { limit: Some(100), ..JobList::default() }).await.unwrap().jobs;
    assert_eq!(jobs.len() as u64, COPIES + 1);
    let history = app.job(jobs[3].id).await.unwrap();
    assert!(history.history.len() >= 2, "{history:?}");
    let last = jobs.iter().map(|job| job.number).max().unwrap();
    let job = app.submit(new_job("printer0", "application/octet-stream"), label(7)).await.unwrap();
    assert_eq!(job.number, last + 1);
    way.ours.await_completed(&app).await.unwrap();
}
