//! The one writer: takes what has gathered, writes it in one transaction, commits once, answers everybody.

use std::collections::HashSet;
use std::time::Instant;

use inkwire_protocol::ids::{AccountId, StoreEpoch};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;

use super::addressed::Moved;
use super::apply::{self, Fail};
use super::{Request, Shared};
use crate::store::{CommitError, Outcome};

/// Callers in one transaction: enough to share an fsync among many, few enough that the first does not wait long.
const BATCH: usize = 512;

/// What a transaction will tell the world once it is committed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Accounts with new events.
    pub(super) woken: HashSet<AccountId>,
    /// Printers that are not what they were.
    pub(super) moved: Vec<Moved>,
    /// A new incarnation of the store.
    pub(super) store_epoch: Option<StoreEpoch>,
}

/// Runs until every handle is gone or the store has failed.
pub(super) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Request>, shared: &Shared) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        if let Err(error) = write(&mut connection, &mut batch, shared) {
            // Replies are dropped: callers learn that the store has stopped, never that something was stored.
            shared.fail(error.to_string());
            return;
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the store did not close cleanly; its log is replayed at the next start");
    }
}

fn write(connection: &mut Connection, batch: &mut Vec<Request>, shared: &Shared) -> rusqlite::Result<()> {
    let begun = Instant::now();
    let mut pending = Pending::default();
    let mut answers = Vec::with_capacity(batch.len());
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for request in batch.drain(..) {
        let answer = one(connection, request.changes, &mut pending)?;
        answers.push((request.reply, answer));
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    shared.meters.committed(begun.elapsed(), answers.len());
    shared.addressed.forget(&pending.moved);
    if let Some(epoch) = pending.store_epoch {
        shared.store_epoch.send_replace(epoch);
    }
    for (reply, answer) in answers {
        // A caller that went away does not need its answer; what it asked for is stored.
        drop(reply.send(answer));
    }
    for account in pending.woken {
        // Nobody subscribed is fine.
        drop(shared.wakeups.send(account));
    }
    Ok(())
}

/// One caller's changes in a savepoint of their own. The outer error is the store's, the inner one the caller's.
fn one(
    connection: &Connection,
    changes: Vec<crate::store::Change>,
    pending: &mut Pending,
) -> rusqlite::Result<Result<Vec<Outcome>, CommitError>> {
    connection.prepare_cached("SAVEPOINT caller")?.execute([])?;
    let mut mine = Pending::default();
    let outcomes: Result<Vec<_>, Fail> =
        changes.into_iter().map(|change| apply::apply(connection, change, &mut mine)).collect();
    let error = match outcomes {
        Ok(outcomes) => {
            connection.prepare_cached("RELEASE caller")?.execute([])?;
            pending.woken.extend(mine.woken);
            pending.moved.extend(mine.moved);
            pending.store_epoch = mine.store_epoch.or(pending.store_epoch);
            return Ok(Ok(outcomes));
        }
        Err(Fail::Caller(error)) => error,
        Err(Fail::Sql(error)) if is_fatal(connection, &error) => return Err(error),
        Err(Fail::Sql(error)) => {
            tracing::error!(%error, "a change was refused");
            CommitError::Engine(error.to_string())
        }
    };
    connection.prepare_cached("ROLLBACK TO caller")?.execute([])?;
    connection.prepare_cached("RELEASE caller")?.execute([])?;
    Ok(Err(error))
}

/// After these nobody knows what is on the disk, or the transaction of all callers is gone.
fn is_fatal(connection: &Connection, error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    connection.is_autocommit()
        || matches!(
            code,
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
            )
        )
}
