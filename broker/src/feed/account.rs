//! One account's feed: its task reads the log once for all that follow.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use inkwire_protocol::ids::{AccountId, EventOffset};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ring::{Found, Ring};
use super::run::Run;
use crate::limits::{EVENTS_PER_MESSAGE, FEED_GATHER_A_READER, FEED_GATHER_AT_MOST};
use crate::store::{ReadError, SharedStore};

/// A log that could not be read is read again after this long.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What readers share. The task ends when the last reader has gone.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) store: SharedStore,
    pub(super) account: AccountId,
    ring: Mutex<Ring>,
    /// The newest event that is in the ring, or was there before its first run.
    newest: watch::Sender<Option<EventOffset>>,
    /// Events of the account were committed.
    stirred: Arc<Notify>,
    /// Ends the task.
    _ends: DropGuard,
}

impl Feed {
    pub(super) fn start(store: SharedStore, account: AccountId) -> Arc<Self> {
        let stirred = Arc::new(Notify::new());
        let newest = watch::Sender::new(None);
        let ended = CancellationToken::new();
        let _ends = ended.clone().drop_guard();
        let feed = Arc::new(Self {
            store,
            account,
            ring: Mutex::default(),
            newest,
            stirred: stirred.clone(),
            _ends,
        });
        let following = follow(Arc::downgrade(&feed), stirred);
        tokio::spawn(async move { ended.run_until_cancelled(following).await });
        feed
    }

    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    pub(super) fn news(&self) -> watch::Receiver<Option<EventOffset>> {
        self.newest.subscribe()
    }

    pub(super) fn after(&self, offset: EventOffset) -> Found {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).after(offset)
    }

    /// Reads a run of the log that the ring does not hold.
    pub(super) async fn read(&self, after: EventOffset) -> Result<Option<Arc<Run>>, ReadError> {
        let events = self.store.events_after(self.account, after, EVENTS_PER_MESSAGE).await?;
        Ok(Run::of(self.store.store_epoch(), events).map(Arc::new))
    }

    fn publish(&self, run: Arc<Run>) {
        let through = run.through;
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        self.newest.send_replace(Some(through));
    }

    /// How long events gather before the next run: with many readers a run costs much, and one is better than five.
    fn gathering(&self) -> Duration {
        let readers = u32::try_from(self.newest.receiver_count()).unwrap_or(u32::MAX);
        FEED_GATHER_A_READER.saturating_mul(readers).min(FEED_GATHER_AT_MOST)
    }
}

async fn follow(feed: Weak<Feed>, stirred: Arc<Notify>) {
    let mut at: Option<EventOffset> = None;
    loop {
        let began = Instant::now();
        let gathering = {
            let Some(feed) = feed.upgrade() else { return };
            match news(&feed, &mut at).await {
                Ok(()) => feed.gathering(),
                // The cause is in the log. Readers wait; nothing is lost.
                Err(_) => {
                    stirred.notify_one();
                    READ_AGAIN
                }
            }
        };
        tokio::time::sleep_until(began + gathering).await;
        stirred.notified().await;
    }
}

/// Publishes what has come since `at`.
async fn news(feed: &Feed, at: &mut Option<EventOffset>) -> Result<(), ReadError> {
    let Some(mut offset) = *at else {
        let newest = feed.store.event_bounds(feed.account).await?.newest;
        *at = Some(newest);
        feed.newest.send_replace(Some(newest));
        return Ok(());
    };
    while let Some(run) = feed.read(offset).await? {
        offset = run.through;
        *at = Some(offset);
        feed.publish(run);
    }
    Ok(())
}
