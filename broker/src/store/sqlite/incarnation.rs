//! Is this the store that was here last, or a copy of it from another time?
//!
//! At each start a new random mark goes into the store and into a file beside it. A store that was put back from a backup
//! without the file, or beside another file, does not match: it is a new incarnation, and every agent's ledger must be
//! reconciled before anything is dispatched (DESIGN §4). A backup that copied both is found by the agents, who
//! remember more acknowledged facts than it does, and have this store's own receipt for them (`receipts`).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use inkwire_protocol::ids::{AccountId, StoreEpoch};
use inkwire_protocol::session::reconcile::Signed;
use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::{OpenError, receipts};
use crate::store::BeginSession;

/// Checks the marks, sets new ones, and says which incarnation this is.
pub(super) fn check(connection: &mut Connection, beside: &Path) -> Result<StoreEpoch, OpenError> {
    let failed = |source| OpenError::File { path: beside.to_owned(), source };
    let file = match std::fs::read_to_string(beside) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let stored = meta(connection, "incarnation")?;
    let known = meta(connection, "store_epoch")?;
    let next = Uuid::new_v4();
    // The file names the old mark too, so that a crash between both writes does not look like a restored copy.
    let old = stored.unwrap_or(next);
    write_mark(beside, &format!("{old}\n{next}\n")).map_err(failed)?;

    let matches = stored.is_some_and(|mark| file.lines().any(|line| line == mark.to_string()));
    let epoch = match known {
        Some(epoch) if matches => epoch,
        Some(_) => {
            tracing::warn!(
                "this store is a restored copy: every agent is reconciled before it gets new jobs"
            );
            Uuid::now_v7()
        }
        None => Uuid::now_v7(),
    };
    let transaction = connection.transaction()?;
    set(&transaction, "incarnation", next)?;
    if known != Some(epoch) {
        begin(&transaction, epoch)?;
    }
    receipts::make_key(&transaction)?;
    transaction.commit()?;
    write_mark(beside, &format!("{next}\n")).map_err(failed)?;
    Ok(StoreEpoch::from_uuid(epoch))
}

/// Begins a new incarnation within a transaction.
pub(super) fn renew(transaction: &Connection) -> rusqlite::Result<StoreEpoch> {
    let epoch = Uuid::now_v7();
    begin(transaction, epoch)?;
    Ok(StoreEpoch::from_uuid(epoch))
}

/// The present incarnation becomes a past one, and each account's jobs so far are noted: what became of them after the copy was made
/// is for the agents to say.
fn begin(transaction: &Connection, epoch: Uuid) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "INSERT OR REPLACE INTO meta SELECT 'past/' || hex(value), value FROM meta WHERE key = 'store_epoch';
         INSERT OR REPLACE INTO meta SELECT 'jobs/' || hex(id), last_job FROM accounts
             WHERE EXISTS (SELECT 1 FROM meta WHERE key = 'store_epoch');",
    )?;
    set(transaction, "store_epoch", epoch)
}

/// Which incarnation an agent's receipt is of; none where it is not this store's word on this agent and this number.
pub(super) fn signed(db: &Connection, begin: &BeginSession) -> rusqlite::Result<Option<Signed>> {
    let Some(receipt) = begin.receipt else { return Ok(None) };
    if !receipts::is_ours(db, begin.agent, begin.facts_acked, &receipt)? {
        return Ok(None);
    }
    let epoch = receipt.store_epoch();
    if epoch == current(db)? {
        return Ok(Some(Signed::Present));
    }
    let past =
        db.prepare_cached("SELECT 1 FROM meta WHERE key = 'past/' || hex(?1)")?.exists([epoch.uuid()])?;
    Ok(Some(if past { Signed::Past } else { Signed::Unheard }))
}

/// An incarnation that this store had forgotten is known from now on.
pub(super) fn heard_of(db: &Connection, epoch: StoreEpoch) -> rusqlite::Result<()> {
    db.execute("INSERT OR REPLACE INTO meta VALUES ('past/' || hex(?1), ?1)", [epoch.uuid()])?;
    Ok(())
}

/// The account's newest job when the present incarnation began; 0 in the first one.
pub(super) fn jobs_before(db: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    let found = db
        .prepare_cached("SELECT value FROM meta WHERE key = 'jobs/' || hex(?1)")?
        .query_row([account.uuid()], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

pub(super) fn current(connection: &Connection) -> rusqlite::Result<StoreEpoch> {
    let epoch = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'store_epoch'")?
        .query_row([], |row| row.get(0))?;
    Ok(StoreEpoch::from_uuid(epoch))
}

fn write_mark(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("incarnation-new");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<Uuid>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn set(transaction: &Connection, key: &str, value: Uuid) -> rusqlite::Result<()> {
    transaction
        .execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", rusqlite::params![key, value])?;
    Ok(())
}
