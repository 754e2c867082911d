//! The event logs as they are followed: each event is read and encoded once for an account, however many follow it.
//!
//! ```text
//!  store ── wake-up ──▶ one task an account ── run (encoded, shared) ──▶ ring ──▶ readers at the ring's pace
//!        ◀── a reader that fell behind the ring reads the log itself, at its own pace ───────────┘
//! ```
//!
//! A reader holds a place in the log and at most one run; what is kept for all of them is bounded in bytes.

mod account;
mod filter;
mod reader;
mod ring;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use inkwire_protocol::app::EventPosition;
use inkwire_protocol::ids::{AccountId, EventOffset};
use tokio::sync::broadcast::{self, error::RecvError};

pub(crate) use filter::{Filter, check_kinds, check_tag};
pub(crate) use reader::{Piece, Reader};
pub(crate) use run::Line;

use self::account::Feed;
use crate::store::{EventBounds, ReadError, SharedStore};

/// Accounts whose feed nobody follows any more are forgotten when this many are known.
const TIDY_AT: usize = 64;

/// All feeds; one for each account that somebody follows.
#[derive(Debug)]
pub(crate) struct Feeds {
    store: SharedStore,
    accounts: Accounts,
}

type Accounts = Arc<Mutex<HashMap<AccountId, Weak<Feed>>>>;

/// Where a follower begins.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) reader: Reader,
    /// Whether the wanted place could be taken up; otherwise the reader begins with what comes next.
    pub(crate) resumed: bool,
    pub(crate) bounds: EventBounds,
}

impl Feeds {
    /// Feeds of a store; to be made where tasks can be started.
    pub(crate) fn new(store: SharedStore) -> Self {
        let accounts = Accounts::default();
        tokio::spawn(stir(store.wakeups(), Arc::downgrade(&accounts)));
        Self { store, accounts }
    }

    /// Follows an account's log after a place that was seen before, or from now on.
    pub(crate) async fn join(
        &self,
        account: AccountId,
        after: Option<EventPosition>,
        filter: Filter,
    ) -> Result<Joined, ReadError> {
        // Before the bounds are read, so that nothing falls between.
        let feed = self.feed(account);
        let epoch = self.store.store_epoch();
        let bounds = self.store.event_bounds(account).await?;
        let resumed = after.is_none_or(|after| reaches(&bounds, after, epoch));
        let offset = match after {
            Some(after) if resumed => after.offset,
            Some(_) | None => bounds.newest,
        };
        let at = EventPosition { epoch, offset };
        Ok(Joined { reader: Reader::new(feed, at, filter), resumed, bounds })
    }

    /// Follows an account's log from an offset that the caller knows to be of this store.
    pub(crate) fn follow(&self, account: AccountId, offset: EventOffset, filter: Filter) -> Reader {
        let at = EventPosition { epoch: self.store.store_epoch(), offset };
        Reader::new(self.feed(account), at, filter)
    }

    fn feed(&self, account: AccountId) -> Arc<Feed> {
        let mut accounts = lock(&self.accounts);
        if let Some(feed) = accounts.get(&account).and_then(Weak::upgrade) {
            return feed;
        }
        if accounts.len() >= TIDY_AT {
            accounts.retain(|_, feed| feed.strong_count() > 0);
        }
        let feed = Feed::start(self.store.clone(), account);
        accounts.insert(account, Arc::downgrade(&feed));
        // What was committed before it could be found here.
        feed.stir();
        feed
    }
}

/// Hands each wake-up of the store to the one feed that it is about.
async fn stir(
    mut wakeups: broadcast::Receiver<AccountId>,
    accounts: Weak<Mutex<HashMap<AccountId, Weak<Feed>>>>,
) {
    loop {
        let woken = wakeups.recv().await;
        let Some(accounts) = accounts.upgrade() else { return };
        let accounts = lock(&accounts);
        match woken {
            Ok(account) => accounts.get(&account).and_then(Weak::upgrade).iter().for_each(|feed| feed.stir()),
            // Some were missed: everybody looks.
            Err(RecvError::Lagged(_)) => {
                accounts.values().filter_map(Weak::upgrade).for_each(|feed| feed.stir())
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the log still holds everything after a place.
pub(crate) fn reaches(
    bounds: &EventBounds,
    after: EventPosition,
    epoch: inkwire_protocol::ids::StoreEpoch,
) -> bool {
    after.epoch == epoch
        && after.offset.0.saturating_add(1) >= bounds.oldest.0
        && after.offset <= bounds.newest
}
