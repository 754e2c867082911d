//! Watching over the broker's tasks, and the order in which it ends.
//!
//! ```text
//!  asked to stop ─▶ accept nothing new, tell agents when to come back ─▶ a moment ─▶ close everybody with 4000
//!                ─▶ wait for the last commits ─▶ stop jobs, admin, watch ─▶ the store closes
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use inkwire_protocol::close::CloseCode;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RunError;
use crate::limits::{DRAIN_GRACE, DRAIN_WITHIN};
use crate::sessions::SharedSessions;
use crate::store::SharedStore;

/// How often it is looked whether the last agent has gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Tasks without which the broker is worth nothing.
#[derive(Debug, Default)]
pub(super) struct Vital {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Vital {
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the first that ends, by itself or by a panic, and names it.
    async fn first_end(&mut self) -> &'static str {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "a task has failed");
                error.id()
            }
            None => return std::future::pending().await,
        };
        self.names.get(&id).copied().unwrap_or("task")
    }

    async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A running broker, from the inside.
#[derive(Debug)]
pub(super) struct Running {
    store: SharedStore,
    shutdown: CancellationToken,
    pub(super) vital: Vital,
    pub(super) tracker: TaskTracker,
    /// Nothing new is begun.
    pub(super) closing: CancellationToken,
    /// What serves the rest ends too.
    pub(super) stop: CancellationToken,
    pub(super) sessions: Option<SharedSessions>,
}

impl Running {
    pub(super) fn new(store: SharedStore, shutdown: CancellationToken) -> Self {
        Self {
            store,
            shutdown,
            vital: Vital::default(),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
            stop: CancellationToken::new(),
            sessions: None,
        }
    }

    /// Watches until the end is asked for or forced, then ends everything in order.
    pub(super) async fn run(mut self) -> Result<(), RunError> {
        let cause = tokio::select! {
            () = self.shutdown.cancelled() => Ok(()),
            why = self.store.failed() => Err(RunError::Store(why)),
            name = self.vital.first_end() => Err(RunError::Ended(name)),
        };
        if let Err(error) = &cause {
            tracing::error!(%error, "stopping");
        } else {
            tracing::info!("draining");
        }
        let drained = self.drain(cause.is_ok()).await;
        cause.and(drained)
    }

    async fn drain(mut self, gently: bool) -> Result<(), RunError> {
        let deadline = Instant::now() + DRAIN_WITHIN;
        self.closing.cancel();
        if let Some(sessions) = self.sessions.take() {
            if gently {
                sessions.announce_drain();
                let grace = Instant::now() + DRAIN_GRACE;
                while sessions.registry.len() > 0 && Instant::now() < grace {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
            sessions.end_all(CloseCode::Draining);
        }
        self.tracker.close();
        let connections = timeout_at(deadline, self.tracker.wait()).await;
        self.stop.cancel();
        let vital = timeout_at(deadline + DRAIN_GRACE, self.vital.all_ended()).await;
        if vital.is_err() {
            tracing::warn!("a task did not end in time");
        }
        connections.map_err(|_| RunError::Overdue(self.tracker.len()))
    }
}
