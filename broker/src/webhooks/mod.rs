//! Webhooks: an account's events sent to URLs, signed as Standard Webhooks says.
//!
//! ```text
//!  feed ─▶ runner (one a webhook: in order, at least once) ─▶ outbound ─▶ URL
//!            └── how far it came, what was answered ─▶ store
//! ```
//!
//! A webhook that takes nothing holds up only itself: it waits longer and longer, and after a day it is disabled.

mod request;
mod rules;
mod runner;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{Delivery, DeliveryCause, Event, EventPosition, WebhookDisabled};
use inkwire_protocol::ids::{AccountId, EventOffset, WebhookId};
use inkwire_service::Secret;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::request::{Line, Message, send};
use self::runner::Runner;
use crate::clock::now_ms;
use crate::feed::{self, Feeds, Filter};
use crate::limits::WEBHOOKS_AT_ONCE;
use crate::outbound::{Outbound, OutboundError};
use crate::store::{Change, CommitError, NewEvent, ReadError, SharedStore, WebhookRow};

/// How long a test or a redelivery waits for a place among the account's requests.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// All webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    store: SharedStore,
    feeds: Arc<Feeds>,
    outbound: Arc<Outbound>,
    running: Mutex<HashMap<WebhookId, Running>>,
    places: Mutex<HashMap<AccountId, Weak<Semaphore>>>,
    /// One change at a time: a runner is stopped, its row changed, and begun again.
    changing: tokio::sync::Mutex<()>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a message was not sent now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Too many are on their way.
    #[error("too many requests of this account's webhooks are on their way")]
    Busy,
    /// It could not be logged.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Webhooks {
    pub(crate) fn new(
        store: SharedStore,
        feeds: Arc<Feeds>,
        outbound: Arc<Outbound>,
        stop: CancellationToken,
    ) -> Self {
        let (running, places, changing) = (Mutex::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { store, feeds, outbound, running, places, changing, stop }
    }

    /// Begins with every webhook that is enabled.
    pub(crate) async fn start(&self) -> Result<(), ReadError> {
        for row in self.store.enabled_webhooks().await? {
            self.begin(row).await?;
        }
        Ok(())
    }

    /// Runs until the broker stops; then every webhook has stopped.
    pub(crate) async fn watch(self: Arc<Self>) {
        self.stop.cancelled().await;
        let running: Vec<Running> = lock(&self.running).drain().map(|(_, running)| running).collect();
        for one in running {
            end(one).await;
        }
    }

    /// Whether a URL may be sent to, as far as it can be said without trying.
    pub(crate) fn check(&self, url: &str) -> Result<(), OutboundError> {
        request::check(&self.outbound, url).map(drop)
    }

    /// Commits changes of a webhook while it does not run, then lets it go on as its row says.
    pub(crate) async fn change(
        &self,
        account: AccountId,
        webhook: WebhookId,
        changes: impl Future<Output = Result<Vec<Change>, ChangeError>> + Send,
    ) -> Result<(), ChangeError> {
        let _one = self.changing.lock().await;
        let stopped = lock(&self.running).remove(&webhook);
        if let Some(running) = stopped {
            end(running).await;
        }
        let changed = match changes.await {
            Ok(changes) => self.store.commit(changes).await.map(drop).map_err(ChangeError::from),
            Err(error) => Err(error),
        };
        if let Some(row) = self.store.webhook(account, webhook).await?.filter(|row| row.enabled) {
            self.begin(row).await?;
        }
        changed
    }

    async fn begin(&self, mut row: WebhookRow) -> Result<(), ReadError> {
        let epoch = self.store.store_epoch();
        let bounds = self.store.event_bounds(row.account).await?;
        let at = EventPosition { epoch, offset: row.through };
        if !feed::reaches(&bounds, at, epoch) {
            self.skip(&mut row, EventOffset(bounds.oldest.0.saturating_sub(1)).min(bounds.newest)).await;
        }
        let filter = Filter { kinds: row.kinds.clone(), tag: row.tag.clone(), ..Filter::default() };
        let reader = self.feeds.follow(row.account, row.through, filter);
        let (webhook, committed) = (row.id, row.through);
        let runner = Runner {
            store: self.store.clone(),
            outbound: self.outbound.clone(),
            places: self.places_of(row.account),
            webhook: row,
            reader,
            line: Line::default(),
            gathered: Vec::new(),
            committed,
        };
        let stop = self.stop.child_token();
        let token = stop.clone();
        let task = tokio::spawn(async move {
            token.run_until_cancelled(runner.run()).await;
        });
        lock(&self.running).insert(webhook, Running { stop, task });
        Ok(())
    }

    /// The log has moved on past a webhook that was disabled for long, or the store is an older one: the account is told.
    async fn skip(&self, row: &mut WebhookRow, to: EventOffset) {
        let data = json!({"webhook": row.id, "from": row.through, "to": to});
        row.through = to;
        let (account, at_ms) = (row.account, now_ms());
        let event = NewEvent { at_ms, kind: "webhook.skipped", job: None, agent: None, printer: None, data };
        let changes = vec![Change::UpdateWebhook(Box::new(row.clone())), Change::Event { account, event }];
        if let Err(error) = self.store.commit(changes).await {
            tracing::error!(webhook = %row.id, %error, "a webhook that was left behind could not be moved on");
        }
    }

    fn places_of(&self, account: AccountId) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        if let Some(known) = places.get(&account).and_then(Weak::upgrade) {
            return known;
        }
        places.retain(|_, places| places.strong_count() > 0);
        let new = Arc::new(Semaphore::new(WEBHOOKS_AT_ONCE));
        places.insert(account, Arc::downgrade(&new));
        new
    }

    /// Sends an event that is about nothing, once.
    pub(crate) async fn test(&self, webhook: &WebhookRow) -> Result<Delivery, SendError> {
        let event = Event {
            offset: EventOffset(0),
            at_ms: now_ms(),
            kind: "webhook.test".to_owned(),
            job: None,
            agent: None,
            printer: None,
            data: Value::Object(serde_json::Map::new()),
        };
        let mut message = written(&event, format!("test_{}", Uuid::now_v7().simple()));
        message.offset = None;
        self.once(webhook, &message, DeliveryCause::Test).await
    }

    /// Sends an event once more.
    pub(crate) async fn redeliver(
        &self,
        webhook: &WebhookRow,
        earlier: &Delivery,
        event: &Event,
    ) -> Result<Delivery, SendError> {
        let message = written(event, earlier.message.clone());
        self.once(webhook, &message, DeliveryCause::Redelivery).await
    }

    async fn once(
        &self,
        webhook: &WebhookRow,
        message: &Message,
        cause: DeliveryCause,
    ) -> Result<Delivery, SendError> {
        let places = self.places_of(webhook.account);
        let place = tokio::time::timeout(PLACE_WITHIN, places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(SendError::Busy) };
        let sent = send(&self.outbound, &mut Line::default(), webhook, message, (cause, 1)).await;
        let deliveries = vec![sent.delivery.clone()];
        let log = Change::LogDeliveries { webhook: webhook.id, deliveries, at_ms: now_ms() };
        self.store.commit(vec![log]).await?;
        Ok(sent.delivery)
    }
}

/// Why a webhook was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was asked for cannot be.
    #[error(transparent)]
    Refused(#[from] inkwire_protocol::app::Problem),
}

/// A new secret: `whsec_` and 256 random bits.
pub(crate) fn new_secret() -> Secret {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    Secret::new(format!("whsec_{}", STANDARD.encode(bytes.as_slice())))
}

/// What ends a webhook because somebody wanted it.
pub(crate) fn by_hand(at_ms: u64) -> WebhookDisabled {
    WebhookDisabled { at_ms, reason: "somebody disabled it".to_owned() }
}

fn written(event: &Event, id: String) -> Message {
    let json = serde_json::to_string(event).unwrap_or_default();
    let body = rules::body(&event.kind, event.at_ms, &json);
    Message { id, offset: Some(event.offset), kind: event.kind.clone(), body }
}

/// A request that was on its way may have been taken; it is sent again then, with the same id.
async fn end(running: Running) {
    running.stop.cancel();
    if let Err(error) = running.task.await {
        tracing::error!(%error, "a webhook's task has failed");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
