//! Webhooks, their deliveries, and documents to fetch.

use inkwire_protocol::app::Delivery;
use inkwire_protocol::ids::{AccountId, JobId, WebhookId};
use rusqlite::{Connection, params};
use serde_json::json;

use super::super::map;
use super::super::writer::Pending;
use super::{Fail, events};
use crate::limits::{DELIVERIES_KEPT, DELIVERIES_KEPT_FOR};
use crate::store::{CommitError, FetchRow, MoveWebhook, NewEvent, Outcome, WebhookRow};

pub(super) fn create(db: &Connection, row: &WebhookRow) -> Result<Outcome, Fail> {
    db.prepare_cached(
        "INSERT INTO webhooks (id, account, name, url, kinds, secret, enabled, through, created_ms, tag)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        row.id.uuid(),
        row.account.uuid(),
        row.name,
        row.url,
        map::json(&row.kinds)?,
        row.secret.reveal(),
        row.enabled,
        row.through.0,
        row.created_ms,
        row.tag
    ])?;
    Ok(Outcome::Done)
}

pub(super) fn update(db: &Connection, row: &WebhookRow) -> Result<Outcome, Fail> {
    let (previous, until) = row.previous.as_ref().map(|(secret, until)| (secret.reveal(), until)).unzip();
    let disabled = row.disabled.as_ref();
    let changed = db
        .prepare_cached(
            "UPDATE webhooks SET name = ?3, url = ?4, kinds = ?5, secret = ?6, previous = ?7, previous_until_ms = ?8,
                 enabled = ?9, disabled_ms = ?10, disabled_reason = ?11, through = ?12, failures = ?13,
                 failing_since_ms = ?14, retry_ms = ?15, tag = ?16
             WHERE id = ?1 AND account = ?2",
        )?
        .execute(params![
            row.id.uuid(),
            row.account.uuid(),
            row.name,
            row.url,
            map::json(&row.kinds)?,
            row.secret.reveal(),
            previous,
            until,
            row.enabled,
            disabled.map(|disabled| disabled.at_ms),
            disabled.map(|disabled| &disabled.reason),
            row.through.0,
            row.failures,
            row.failing_since_ms,
            row.retry_ms,
            row.tag,
        ])?;
    if changed == 0 { Err(CommitError::NotFound("webhook").into()) } else { Ok(Outcome::Done) }
}

pub(super) fn delete(db: &Connection, account: AccountId, webhook: WebhookId) -> Result<Outcome, Fail> {
    let gone = db
        .prepare_cached("DELETE FROM webhooks WHERE id = ?1 AND account = ?2")?
        .execute([webhook.uuid(), account.uuid()])?;
    if gone == 0 { Err(CommitError::NotFound("webhook").into()) } else { Ok(Outcome::Done) }
}

/// How far a webhook has come, with the requests that brought it there.
pub(super) fn advance(db: &Connection, moved: &MoveWebhook, pending: &mut Pending) -> Result<Outcome, Fail> {
    let disabled = moved.disabled.as_ref();
    let changed = db
        .prepare_cached(
            "UPDATE webhooks SET through = max(through, ?3), failures = ?4, failing_since_ms = ?5, retry_ms = ?6,
                 enabled = enabled AND ?7 IS NULL, disabled_ms = ?7, disabled_reason = ?8
             WHERE id = ?1 AND account = ?2",
        )?
        .execute(params![
            moved.webhook.uuid(),
            moved.account.uuid(),
            moved.through.0,
            moved.failures,
            moved.failing_since_ms,
            moved.retry_ms,
            disabled.map(|disabled| disabled.at_ms),
            disabled.map(|disabled| &disabled.reason),
        ])?;
    if changed == 0 {
        return Err(CommitError::NotFound("webhook").into());
    }
    log(db, moved.webhook, &moved.deliveries, moved.at_ms)?;
    if let Some(disabled) = disabled {
        let event = NewEvent {
            at_ms: disabled.at_ms,
            kind: "webhook.disabled",
            job: None,
            agent: None,
            printer: None,
            data: json!({"webhook": moved.webhook, "reason": disabled.reason, "through": moved.through}),
        };
        events::log(db, moved.account, &[event], pending)?;
    }
    Ok(Outcome::Done)
}

/// Logs requests and forgets the oldest.
pub(super) fn log(
    db: &Connection,
    webhook: WebhookId,
    deliveries: &[Delivery],
    now_ms: u64,
) -> Result<Outcome, Fail> {
    let mut insert = db.prepare_cached(
        "INSERT INTO deliveries (id, webhook, message, offset, kind, attempt, cause, at_ms, duration_ms, taken, status,
             error, response)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for delivery in deliveries {
        insert.execute(params![
            delivery.id.uuid(),
            webhook.uuid(),
            delivery.message,
            delivery.offset.map(|offset| offset.0),
            delivery.kind,
            delivery.attempt,
            map::keyword(&delivery.cause)?,
            delivery.at_ms,
            delivery.duration_ms,
            delivery.taken,
            delivery.status,
            delivery.error,
            delivery.response,
        ])?;
    }
    let oldest = now_ms.saturating_sub(DELIVERIES_KEPT_FOR.as_millis() as u64);
    db.prepare_cached(
        "DELETE FROM deliveries WHERE webhook = ?1 AND (at_ms < ?2 OR id <=
             (SELECT id FROM deliveries WHERE webhook = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3))",
    )?
    .execute(params![webhook.uuid(), oldest, DELIVERIES_KEPT])?;
    Ok(Outcome::Done)
}

pub(super) fn begin_fetch(db: &Connection, row: &FetchRow) -> Result<Outcome, Fail> {
    db.prepare_cached("INSERT INTO fetches (job, account, url, sha256) VALUES (?1, ?2, ?3, ?4)")?.execute(
        params![row.job.uuid(), row.account.uuid(), row.url, row.sha256.map(|digest| *digest.as_bytes())],
    )?;
    Ok(Outcome::Done)
}

pub(super) fn end_fetch(db: &Connection, job: JobId) -> Result<Outcome, Fail> {
    db.prepare_cached("DELETE FROM fetches WHERE job = ?1")?.execute([job.uuid()])?;
    Ok(Outcome::Done)
}
