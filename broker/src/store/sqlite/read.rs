//! Reading: what each room's queries share, and what the store says of itself.

use async_trait::async_trait;
use inkwire_protocol::ids::{AccountId, StoreEpoch};
use rusqlite::{Connection, OptionalExtension as _, Params, Result, Row};
use tokio::sync::broadcast;

use super::{SqliteStore, census};
use crate::store::{Census, Change, CommitError, Depth, Meters, Outcome, ReadError, Store};

/// All rows of a query.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    map: fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(values, map)?.collect()
}

/// The row of a query, if there is one.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    map: fn(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(values, map).optional()
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: Vec<Change>) -> std::result::Result<Vec<Outcome>, CommitError> {
        self.write(changes).await
    }

    fn store_epoch(&self) -> StoreEpoch {
        *self.shared.store_epoch.borrow()
    }

    async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the store is closed".to_owned(),
        }
    }

    fn wakeups(&self) -> broadcast::Receiver<AccountId> {
        self.shared.wakeups.subscribe()
    }

    fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    fn queue(&self) -> Depth {
        Depth::of(&self.requests)
    }

    async fn census(&self) -> std::result::Result<Census, ReadError> {
        self.readers.read(census::take).await
    }
}
