//! One webhook's life: reads the log, sends event after event in order, and remembers how far it came.
//!
//! Nothing is passed before it was taken (at least once, in order, without a gap). What was taken is committed when the run of the log is
//! done with or [`WEBHOOK_COMMIT`] have gathered: after a crash so many come again, with the same `webhook-id`.

use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::app::{Delivery, DeliveryCause, EventPosition, WebhookDisabled};
use inkwire_protocol::ids::EventOffset;
use tokio::sync::Semaphore;

use super::request::{Line, Message, Sent, send};
use super::rules::{self, AfterFailure};
use crate::clock::now_ms;
use crate::feed::{self, Piece, Reader};
use crate::limits::WEBHOOK_COMMIT;
use crate::outbound::Outbound;
use crate::store::{Change, CommitError, MoveWebhook, SharedStore, WebhookRow};

/// A log that could not be read is read again after this long.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Events that the filter hid are passed in the store, too, when they are so many: less is looked at again after a restart.
const HIDDEN_COMMIT: u64 = 1000;

#[derive(Debug)]
pub(super) struct Runner {
    pub(super) store: SharedStore,
    pub(super) outbound: Arc<Outbound>,
    pub(super) webhook: WebhookRow,
    pub(super) reader: Reader,
    /// The account's requests at once.
    pub(super) places: Arc<Semaphore>,
    pub(super) line: Line,
    /// Sent, and not committed yet.
    pub(super) gathered: Vec<Delivery>,
    /// What the store knows.
    pub(super) committed: EventOffset,
}

/// The webhook sends no more: it was disabled or deleted, or the store has stopped.
struct Over;

impl Runner {
    /// Runs until it is cancelled, or sends no more.
    pub(super) async fn run(mut self) {
        loop {
            let worked = match self.reader.next().await {
                Ok(piece) => self.work(&piece).await,
                Err(_) => {
                    tokio::time::sleep(READ_AGAIN).await;
                    Ok(())
                }
            };
            if worked.is_err() {
                return;
            }
        }
    }

    async fn work(&mut self, piece: &Piece) -> Result<(), Over> {
        for line in piece.lines() {
            let at = EventPosition { epoch: piece.through().epoch, offset: line.event.offset };
            let message = message(line, at);
            self.deliver(&message).await?;
            self.webhook.through = line.event.offset;
            if self.gathered.len() >= WEBHOOK_COMMIT {
                self.commit(None).await?;
            }
        }
        self.webhook.through = piece.through().offset;
        let hidden = self.webhook.through.0.saturating_sub(self.committed.0);
        if !self.gathered.is_empty() || hidden >= HIDDEN_COMMIT {
            self.commit(None).await?;
        }
        Ok(())
    }

    /// Sends one event until it is taken.
    async fn deliver(&mut self, message: &Message) -> Result<(), Over> {
        loop {
            if let Some(at_ms) = self.webhook.retry_ms {
                tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await;
            }
            let attempt = (DeliveryCause::Event, self.webhook.failures + 1);
            let sent = {
                let Ok(_place) = self.places.acquire().await else { return Err(Over) };
                send(&self.outbound, &mut self.line, &self.webhook, message, attempt).await
            };
            let taken = sent.delivery.taken;
            let disabled = self.note(&sent);
            self.gathered.push(sent.delivery);
            if taken {
                return Ok(());
            }
            let over = disabled.is_some();
            self.commit(disabled).await?;
            if over {
                return Err(Over);
            }
        }
    }

    /// Counts a request; says whether it was the last one.
    fn note(&mut self, sent: &Sent) -> Option<WebhookDisabled> {
        let webhook = &mut self.webhook;
        if sent.delivery.taken {
            (webhook.failures, webhook.failing_since_ms, webhook.retry_ms) = (0, None, None);
            return None;
        }
        let now = now_ms();
        webhook.failures += 1;
        let since = *webhook.failing_since_ms.get_or_insert(sent.delivery.at_ms);
        let (failures, status) = (webhook.failures, sent.delivery.status);
        match rules::after_failure(failures, since, now, status, sent.retry_after, rand::random()) {
            AfterFailure::Retry { at_ms } => {
                tracing::debug!(webhook = %webhook.id, failures, status, "a webhook did not take an event");
                webhook.retry_ms = Some(at_ms);
                None
            }
            AfterFailure::Disable { reason } => {
                tracing::warn!(webhook = %webhook.id, reason, "webhook disabled");
                webhook.retry_ms = None;
                Some(WebhookDisabled { at_ms: now, reason })
            }
        }
    }

    async fn commit(&mut self, disabled: Option<WebhookDisabled>) -> Result<(), Over> {
        let webhook = &self.webhook;
        let moved = MoveWebhook {
            webhook: webhook.id,
            account: webhook.account,
            through: webhook.through,
            failures: webhook.failures,
            failing_since_ms: webhook.failing_since_ms,
            retry_ms: webhook.retry_ms,
            disabled,
            deliveries: std::mem::take(&mut self.gathered),
            at_ms: now_ms(),
        };
        match self.store.commit(vec![Change::MoveWebhook(Box::new(moved))]).await {
            Ok(_) => {
                self.committed = webhook.through;
                Ok(())
            }
            Err(CommitError::NotFound(_) | CommitError::Stopped) => Err(Over),
            Err(error) => {
                tracing::error!(webhook = %webhook.id, %error, "a webhook's progress was not stored; its events may be sent again");
                Ok(())
            }
        }
    }
}

/// An event as it is sent.
pub(super) fn message(line: &feed::Line, at: EventPosition) -> Message {
    let event = &line.event;
    Message {
        id: rules::message_id(at),
        offset: Some(event.offset),
        kind: event.kind.clone(),
        body: rules::body(&event.kind, event.at_ms, &line.json),
    }
}
