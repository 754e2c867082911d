//! What waits to be sent to an app, bounded in bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

use inkwire_protocol::app::RpcRequest;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::limits::{APP_QUEUE_BYTES, APP_ROOM_BYTES};

/// The sending end, for everybody who has something to say.
#[derive(Debug)]
pub(super) struct Outgoing {
    messages: mpsc::UnboundedSender<String>,
    bytes: AtomicUsize,
    room: Notify,
    /// Cancelled when more waits than may.
    pub(super) overflow: CancellationToken,
}

impl Outgoing {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (messages, receiver) = mpsc::unbounded_channel();
        let outgoing = Self {
            messages,
            bytes: AtomicUsize::new(0),
            room: Notify::new(),
            overflow: CancellationToken::new(),
        };
        (outgoing, receiver)
    }

    /// Queues a message. Beyond the bound the connection is closed as slow, so nothing grows.
    pub(super) fn push(&self, message: String) {
        let bytes = self.bytes.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        if bytes > APP_QUEUE_BYTES {
            self.overflow.cancel();
        } else if self.messages.send(message).is_err() {
            tracing::trace!("the app is gone");
        }
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

    /// Waits until little waits.
    pub(super) async fn wait_for_room(&self) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.has_room() {
                return;
            }
            notified.await;
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
        assert!(!outgoing.has_room());
        let taken = receiver.recv().await.unwrap().len();
        outgoing.taken(taken);
        outgoing.wait_for_room().await;
        outgoing.push("x".repeat(APP_QUEUE_BYTES));
        assert!(!outgoing.overflow.is_cancelled());
        outgoing.push("x".into());
        assert!(outgoing.overflow.is_cancelled());
    }
}
