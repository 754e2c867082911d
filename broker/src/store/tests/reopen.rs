use std::sync::Arc;

use crate::store::fixtures::{House, hello, label};
use crate::store::traits::*;
use crate::store::{OpenError, SqliteStore};

/// The store's files as a kill -9 would leave them: copied while it is open.
fn as_after_a_kill(house: &House) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["store.sqlite3", "store.sqlite3-wal", "store.incarnation"] {
        std::fs::copy(house.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let printer = house.store.printers(house.account).await.unwrap()[0].id;
    let mut rows = Vec::new();
    for _ in 0..50 {
        rows.push(house.create(label(house.account, printer, b"x")).await);
    }
    let copy = as_after_a_kill(&house);
    let reopened = SqliteStore::open(copy.path()).unwrap();
    for row in rows {
        assert_eq!(reopened.job(house.account, row.job.id).await.unwrap(), Some(row));
    }
    assert_eq!(reopened.store_epoch(), house.store.store_epoch(), "a crash makes no new incarnation");
}

#[tokio::test]
async fn a_second_process_is_refused_and_a_closed_store_opens_again() {
    let house = House::new().await;
    assert!(matches!(SqliteStore::open(house.path()), Err(OpenError::Locked(_))));
    let House { store, folder, account, .. } = house;
    let epoch = store.store_epoch();
    drop(Arc::into_inner(store).unwrap());
    let reopened = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(reopened.store_epoch(), epoch);
    assert!(reopened.account(account).await.unwrap().is_some());
}

#[tokio::test]
async fn a_copy_from_another_time_is_a_new_incarnation() {
    let house = House::new().await;
    let epoch = house.store.store_epoch();
    let backup = as_after_a_kill(&house);
    // It is opened again (and marked anew), so the backup's mark is older than the file beside it.
    let House { store, folder, .. } = house;
    drop(Arc::into_inner(store).unwrap());
    drop(SqliteStore::open(folder.path()).unwrap());
    std::fs::copy(folder.path().join("store.incarnation"), backup.path().join("store.incarnation")).unwrap();
    let restored = SqliteStore::open(backup.path()).unwrap();
    assert_ne!(restored.store_epoch(), epoch);
    drop(restored);

    std::fs::remove_file(folder.path().join("store.incarnation")).unwrap();
    assert_ne!(SqliteStore::open(folder.path()).unwrap().store_epoch(), epoch, "nor without any mark");
}

#[tokio::test]
async fn a_store_of_a_newer_broker_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(folder.path().join("store.sqlite3")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("store.sqlite3 is a store of version 99") && text.contains("up to"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.sqlite3"), vec![7; 8192]).unwrap();
    assert!(matches!(SqliteStore::open(folder.path()), Err(OpenError::Engine(_))));
}
