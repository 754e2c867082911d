//! What waits to be sent to an app, bounded in bytes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use inkwire_protocol::app::RpcRequest;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use crate::limits::{APP_QUEUE_BYTES, APP_ROOM_BYTES};

/// The sending end, for everybody who has something to say.
#[derive(Debug)]
pub(super) struct Outgoing {
    messages: mpsc::UnboundedSender<Utf8Bytes>,
    bytes: AtomicUsize,
    room: Notify,
    /// Cancelled when more waits than may, or what waits is not read.
    pub(super) overflow: CancellationToken,
    why: OnceLock<String>,
}

impl Outgoing {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Utf8Bytes>) {
        let (messages, receiver) = mpsc::unbounded_channel();
        let outgoing = Self {
            messages,
            bytes: AtomicUsize::new(0),
            room: Notify::new(),
            overflow: CancellationToken::new(),
            why: OnceLock::new(),
        };
        (outgoing, receiver)
    }

    /// Queues a message. Beyond the bound the connection is closed as slow, so nothing grows.
    pub(super) fn push(&self, message: impl Into<Utf8Bytes>) {
        let message = message.into();
        let bytes = self.bytes.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        if bytes > APP_QUEUE_BYTES {
            self.end("too much waits to be read by the app".to_owned());
        } else if self.messages.send(message).is_err() {
            tracing::trace!("the app is gone");
        }
    }

    /// Has the connection closed as slow, with these words. The first ones count.
    pub(super) fn end(&self, why: String) {
        if self.why.set(why).is_ok() {
            self.overflow.cancel();
        }
    }

    /// Why it is closed.
    pub(super) fn why(&self) -> String {
        self.why.get().cloned().unwrap_or_default()
    }

    /// Queues a notification.
    pub(super) fn notify(&self, method: &str, params: impl Serialize) {
        match serde_json::to_value(params) {
            Ok(params) => {
                let jsonrpc = "2.0".to_owned();
                let request =
                    RpcRequest { jsonrpc, id: None, method: method.to_owned(), params: Some(params) };
                self.push(serde_json::to_string(&request).unwrap_or_default());
            }
            Err(error) => tracing::error!(%error, method, "a notification could not be written"),
        }
    }

    /// So many bytes were given to the socket.
    pub(super) fn taken(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    /// Whether little waits: what can be left out or put off looks here first.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < APP_ROOM_BYTES
    }

    /// Waits until little waits; false where nothing at all was taken for `patience`.
    pub(super) async fn wait_for_room(&self, patience: Duration) -> bool {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.has_room() {
                return true;
            }
            if tokio::time::timeout(patience, notified).await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_bounded_and_makes_room_again() {
        let (outgoing, mut receiver) = Outgoing::new();
        outgoing.push("x".repeat(APP_ROOM_BYTES));
        assert!(!outgoing.wait_for_room(Duration::from_millis(5)).await);
        let taken = receiver.recv().await.unwrap().len();
        outgoing.taken(taken);
        assert!(outgoing.wait_for_room(Duration::from_secs(1)).await);
        outgoing.push("x".repeat(APP_QUEUE_BYTES));
        assert!(!outgoing.overflow.is_cancelled());
        outgoing.push("x");
        assert!(outgoing.overflow.is_cancelled());
        outgoing.end("later words".into());
        assert!(outgoing.why().contains("too much"));
    }
}
