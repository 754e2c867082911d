//! Reading webhooks, deliveries and fetches.

use async_trait::async_trait;
use inkwire_protocol::app::{Delivery, WebhookDisabled};
use inkwire_protocol::ids::{AccountId, DeliveryId, EventOffset, JobId, Sha256Digest, WebhookId};
use inkwire_service::Secret;
use rusqlite::{Connection, Result, Row, params};
use uuid::Uuid;

use super::read::{all, one};
use super::{SqliteStore, map};
use crate::store::{FetchRow, ReadError, ReadWebhooks, WebhookRow};

#[async_trait]
impl ReadWebhooks for SqliteStore {
    async fn webhooks(&self, account: AccountId) -> std::result::Result<Vec<WebhookRow>, ReadError> {
        self.readers.read(move |db| of_account(db, account)).await
    }

    async fn webhook(
        &self,
        account: AccountId,
        webhook: WebhookId,
    ) -> std::result::Result<Option<WebhookRow>, ReadError> {
        self.readers.read(move |db| find(db, account, webhook)).await
    }

    async fn enabled_webhooks(&self) -> std::result::Result<Vec<WebhookRow>, ReadError> {
        self.readers.read(enabled).await
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> std::result::Result<Vec<Delivery>, ReadError> {
        self.readers.read(move |db| deliveries(db, webhook, before, limit)).await
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> std::result::Result<Option<Delivery>, ReadError> {
        self.readers.read(move |db| delivery_of(db, webhook, id)).await
    }

    async fn fetches(&self) -> std::result::Result<Vec<FetchRow>, ReadError> {
        self.readers.read(fetches).await
    }
}

fn webhook(row: &Row<'_>) -> Result<WebhookRow> {
    let previous: Option<String> = row.get("previous")?;
    let until: Option<u64> = row.get("previous_until_ms")?;
    let disabled_ms: Option<u64> = row.get("disabled_ms")?;
    let reason: Option<String> = row.get("disabled_reason")?;
    Ok(WebhookRow {
        id: WebhookId::from_uuid(row.get("id")?),
        account: AccountId::from_uuid(row.get("account")?),
        name: row.get("name")?,
        url: row.get("url")?,
        kinds: map::from_json("kinds", &row.get::<_, String>("kinds")?)?,
        tag: row.get("tag")?,
        secret: Secret::new(row.get::<_, String>("secret")?),
        previous: previous.map(Secret::new).zip(until),
        enabled: row.get("enabled")?,
        disabled: disabled_ms.zip(reason).map(|(at_ms, reason)| WebhookDisabled { at_ms, reason }),
        through: EventOffset(row.get("through")?),
        failures: row.get("failures")?,
        failing_since_ms: row.get("failing_since_ms")?,
        retry_ms: row.get("retry_ms")?,
        created_ms: row.get("created_ms")?,
    })
}

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId::from_uuid(row.get("id")?),
        message: row.get("message")?,
        offset: row.get::<_, Option<u64>>("offset")?.map(EventOffset),
        kind: row.get("kind")?,
        attempt: row.get("attempt")?,
        cause: map::from_keyword("cause", row.get("cause")?)?,
        at_ms: row.get("at_ms")?,
        duration_ms: row.get("duration_ms")?,
        taken: row.get("taken")?,
        status: row.get("status")?,
        error: row.get("error")?,
        response: row.get("response")?,
    })
}

fn fetch(row: &Row<'_>) -> Result<FetchRow> {
    Ok(FetchRow {
        job: JobId::from_uuid(row.get("job")?),
        account: AccountId::from_uuid(row.get("account")?),
        url: row.get("url")?,
        sha256: row.get::<_, Option<[u8; 32]>>("sha256")?.map(Sha256Digest::from_bytes),
    })
}

pub(super) fn of_account(db: &Connection, account: AccountId) -> Result<Vec<WebhookRow>> {
    let sql = "SELECT * FROM webhooks WHERE account = ?1 ORDER BY created_ms, id";
    all(db, sql, [account.uuid()], webhook)
}

pub(super) fn find(db: &Connection, account: AccountId, id: WebhookId) -> Result<Option<WebhookRow>> {
    one(db, "SELECT * FROM webhooks WHERE id = ?1 AND account = ?2", [id.uuid(), account.uuid()], webhook)
}

pub(super) fn enabled(db: &Connection) -> Result<Vec<WebhookRow>> {
    all(db, "SELECT * FROM webhooks WHERE enabled = 1", [], webhook)
}

pub(super) fn deliveries(
    db: &Connection,
    webhook: WebhookId,
    before: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let sql = "SELECT * FROM deliveries WHERE webhook = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    let before = before.map_or(Uuid::max(), DeliveryId::uuid);
    all(db, sql, params![webhook.uuid(), before, limit], delivery)
}

pub(super) fn delivery_of(db: &Connection, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>> {
    one(db, "SELECT * FROM deliveries WHERE id = ?1 AND webhook = ?2", [id.uuid(), webhook.uuid()], delivery)
}

pub(super) fn fetches(db: &Connection) -> Result<Vec<FetchRow>> {
    all(db, "SELECT * FROM fetches ORDER BY job", [], fetch)
}
