//! What methods need of the WebSocket that they were called by.

use std::sync::{Arc, Mutex, PoisonError};

use inkwire_protocol::app::{self, Problem};
use inkwire_protocol::ids::JobId;
use tokio_util::sync::CancellationToken;

use super::Pump;
use super::outgoing::Outgoing;
use super::uploads::{Underway, Uploads};
use crate::documents::Upload;

/// One app's WebSocket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) uploads: Arc<Uploads>,
    pub(super) out: Arc<Outgoing>,
    subscription: Mutex<Subscription>,
    /// Cancelled when the connection has ended.
    ended: CancellationToken,
}

/// One a connection; a later one takes the place of an earlier one.
#[derive(Debug, Default)]
struct Subscription {
    running: Option<CancellationToken>,
    /// Begins when the answer to `events.subscribe` is queued, so that no event overtakes it.
    waiting: Option<Pump>,
}

impl Connection {
    pub(super) fn new(out: Arc<Outgoing>, ended: CancellationToken) -> Self {
        Self { uploads: Arc::default(), out, subscription: Mutex::default(), ended }
    }

    /// Takes up an upload on this connection.
    pub(crate) fn begin_upload(
        &self,
        job: JobId,
        upload: Upload,
        underway: &Underway,
    ) -> Result<app::Upload, Problem> {
        self.uploads.begin(job, upload, underway, self.out.clone())
    }

    /// Subscribes; begins after the answer.
    pub(crate) fn subscribe(&self, pump: Pump) {
        let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
        subscription.waiting = Some(pump);
    }

    /// An answer was queued: what waited for it begins.
    pub(super) fn answered(&self) {
        let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pump) = subscription.waiting.take() else { return };
        if let Some(earlier) = subscription.running.take() {
            earlier.cancel();
        }
        let token = self.ended.child_token();
        subscription.running = Some(token.clone());
        let out = self.out.clone();
        tokio::spawn(async move { token.run_until_cancelled(pump.run(out)).await });
    }
}
