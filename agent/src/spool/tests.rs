//! The ledger through its own front: group commit, facts, reopening.

use super::reader;
use super::*;
use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, FactSeq, JobId, PrinterNumber, Sha256Digest, SpoolId, TransferId};
use inkwire_protocol::message::{Fact, Open};
use uuid::Uuid;

fn key(n: u128) -> JobKey {
    JobKey::new(JobId::from_uuid(Uuid::from_u128(n)), Attempt(1))
}

fn open_of(key: JobKey) -> Box<Open> {
    Box::new(Open {
        transfer: TransferId(1),
        job: key.job,
        attempt: key.attempt,
        printer: PrinterNumber(1),
        bytes: 3,
        packet_bytes: 1024,
        next_seq: 0,
        sha256: Sha256Digest::of(b"abc"),
        format: "text/plain".into(),
        title: "t".into(),
        delivery: Default::default(),
        qty: 1,
        options: Default::default(),
        priority: 50,
        accepted_ms: 1,
        expires_ms: None,
        pacing_bytes_s: None,
    })
}

fn ledger(dir: &std::path::Path, n: u128) -> Ledger {
    Ledger::open(&dir.join("ledger.sqlite3"), "agent-1", SpoolId::from_uuid(Uuid::from_u128(n))).unwrap()
}

fn label(key: JobKey) -> Vec<Change> {
    vec![
        Change::Store { key, open: open_of(key), document: Bytes::from_static(b"abc") },
        Change::Fact { key, fact: Fact::Spooled, at_ms: 5 },
    ]
}

#[tokio::test]
async fn many_labels_share_commits_and_all_are_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let first = ledger(dir.path(), 1);
    let before = first.ledger_seq();
    futures_util::future::join_all((0..200).map(|n| first.commit(label(key(n)))))
        .await
        .into_iter()
        .for_each(|done| assert!(done.is_ok()));
    assert!(first.ledger_seq() > before && first.ledger_seq() < before + 100, "commits are shared");
    let (seq, spool) = (first.ledger_seq(), first.spool());
    first.closed().await;

    let second = ledger(dir.path(), 2);
    assert_eq!((second.ledger_seq(), second.spool()), (seq, spool));
    assert!(second.has_unacked());
    let jobs = second.read(reader::undecided).await.unwrap();
    assert!(jobs.len() == 200 && jobs.iter().all(|job| job.inline && job.phase == Phase::Ready));
    let document = second.read(|db| reader::document(db, key(7))).await.unwrap();
    assert_eq!(document.as_deref(), Some(&b"abc"[..]));
}

#[tokio::test]
async fn a_ledger_from_a_copy_does_not_catch_up_before_it_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let first = ledger(dir.path(), 1);
    first.commit(label(key(1))).await.unwrap();
    let found = first.ledger_seq();
    first.closed().await;

    let second = ledger(dir.path(), 2);
    second.commit(vec![Change::Dial]).await.unwrap();
    assert_eq!(
        (second.seq_to_tell(), second.ledger_seq()),
        (found, found + 1),
        "its own commits do not count"
    );
    second.welcomed();
    assert_eq!(second.seq_to_tell(), found + 1);
}

#[tokio::test]
async fn facts_are_numbered_repeated_and_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 1);
    ledger.commit(label(key(1))).await.unwrap();
    ledger.commit(vec![Change::Fact { key: key(1), fact: Fact::Printing, at_ms: 6 }]).await.unwrap();
    let facts = || async { ledger.read(|db| reader::unacked_facts(db, 0, 10)).await.unwrap() };
    let told = facts().await;
    assert_eq!(told.iter().map(|(_, fact)| fact.fact_seq.0).collect::<Vec<_>>(), [1, 2]);
    assert!(told[0].1.ledger_seq <= told[1].1.ledger_seq);

    let epoch = inkwire_protocol::ids::StoreEpoch::from_uuid(Uuid::from_u128(9));
    let receipt = |count| Some(inkwire_protocol::ids::AckReceipt::new(epoch, [count; 32]));
    // The second one is heard first: the receipt stays with the larger number.
    for seq in [2, 1] {
        let acked = Change::Acked {
            key: key(1),
            fact_seq: FactSeq(seq),
            facts_acked: u64::from(seq),
            receipt: receipt(seq as u8),
        };
        ledger.commit(vec![acked]).await.unwrap();
    }
    assert!(!ledger.has_unacked() && ledger.facts_acked() == (2, receipt(2)));

    ledger.commit(vec![Change::Repeat { key: key(1) }]).await.unwrap();
    let told = facts().await;
    assert_eq!((told.len(), told[0].1.fact_seq), (1, FactSeq(2)));

    // Another incarnation of the broker's store: the last fact of every attempt is told again.
    ledger.commit(label(key(2))).await.unwrap();
    ledger.commit(vec![Change::StoreEpoch { epoch }]).await.unwrap();
    let mut told: Vec<_> = facts().await.into_iter().map(|(_, fact)| (fact.job, fact.fact_seq.0)).collect();
    told.sort();
    assert_eq!(told, [(key(1).job, 2), (key(2).job, 1)]);
    assert_eq!(ledger.facts_acked(), (0, None));
}

#[tokio::test]
async fn what_ended_is_known_and_pruned_only_when_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 1);
    let end = |at_ms| Change::End { key: key(1), outcome: "completed", at_ms };
    ledger.commit(label(key(1))).await.unwrap();
    ledger
        .commit(vec![end(100), Change::Fact { key: key(1), fact: Fact::Canceled, at_ms: 100 }])
        .await
        .unwrap();
    assert!(ledger.read(|db| reader::document(db, key(1))).await.unwrap().is_none());
    let attempts = || async { ledger.read(|db| reader::attempts(db, key(1).job)).await.unwrap() };
    assert_eq!(attempts().await[0].phase, Phase::Ended);

    ledger.commit(vec![Change::Prune { before_ms: 200 }]).await.unwrap();
    assert_eq!(attempts().await.len(), 1, "the broker has not heard of it yet");
    for seq in [1, 2] {
        let acked = Change::Acked { key: key(1), fact_seq: FactSeq(seq), facts_acked: 1, receipt: None };
        ledger.commit(vec![acked]).await.unwrap();
    }
    ledger.commit(vec![Change::Prune { before_ms: 200 }]).await.unwrap();
    assert!(attempts().await.is_empty());
}

#[tokio::test]
async fn a_dial_number_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let first = ledger(dir.path(), 1);
    assert_eq!(first.commit(vec![Change::Dial]).await.unwrap().dial_n, 1);
    assert_eq!(first.commit(vec![Change::Dial]).await.unwrap().dial_n, 2);
    first.closed().await;
    assert_eq!(ledger(dir.path(), 1).commit(vec![Change::Dial]).await.unwrap().dial_n, 3);
}

#[test]
fn another_agents_and_a_newer_ledger_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    let spool = SpoolId::from_uuid(Uuid::from_u128(1));
    drop(Ledger::open(&path, "agent-1", spool).unwrap());
    assert!(matches!(Ledger::open(&path, "agent-2", spool), Err(LedgerError::OtherAgent { .. })));
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let Err(error) = Ledger::open(&path, "agent-1", spool) else { panic!("a newer ledger is taken") };
    assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()) && text.contains("knows up to 2"), "{text}");
}

#[test]
fn a_ledger_of_version_1_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    let spool = SpoolId::from_uuid(Uuid::from_u128(1));
    drop(Ledger::open(&path, "agent-1", spool).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "ALTER TABLE meta DROP COLUMN receipt; UPDATE meta SET facts_acked = 7; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(db);
    for _ in 0..2 {
        assert_eq!(Ledger::open(&path, "agent-1", spool).unwrap().facts_acked(), (7, None));
    }
}

#[test]
fn garbage_is_not_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    std::fs::write(&path, vec![0x5a; 8192]).unwrap();
    let opened = Ledger::open(&path, "agent-1", SpoolId::from_uuid(Uuid::from_u128(1)));
    assert!(matches!(opened, Err(LedgerError::Unusable(_))));
}
