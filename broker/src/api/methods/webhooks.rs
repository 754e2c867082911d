//! `webhooks.*`.

use inkwire_protocol::app::{
    Deliveries, Delivery, DeliveryList, Problem, ProblemKind, Redeliver, Webhook, WebhookCreate, WebhookRef,
    WebhookSecret, WebhookUpdate, Webhooks,
};
use inkwire_protocol::ids::{EventOffset, WebhookId};
use inkwire_protocol::limits::MAX_NAME_CHARS;
use serde_json::json;
use uuid::Uuid;

use super::not_found;
use crate::api::table::{Context, Gone, Nothing};
use crate::auth::internal;
use crate::clock::now_ms;
use crate::feed::{check_kinds, check_tag};
use crate::limits::{MAX_PAGE_EVENTS, MAX_WEBHOOKS, PAGE_EVENTS, PREVIOUS_SECRET_KEPT};
use crate::outbound::OutboundError;
use crate::store::{Change, CommitError, WebhookRow};
use crate::webhooks::{ChangeError, SendError, by_hand, new_secret};

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Webhooks, Problem> {
    let rows = context.api.store.webhooks(context.caller.account).await.map_err(internal)?;
    let mut webhooks = Vec::with_capacity(rows.len());
    for row in rows {
        webhooks.push(shown(&context, row).await?);
    }
    Ok(Webhooks { webhooks })
}

pub(in crate::api) async fn get(context: Context, params: WebhookRef) -> Result<Webhook, Problem> {
    let row = find(&context, params.webhook).await?;
    shown(&context, row).await
}

pub(in crate::api) async fn create(
    context: Context,
    params: WebhookCreate,
) -> Result<WebhookSecret, Problem> {
    check(&context, Some(&params.url), Some(&params.name), Some(&params.kinds))?;
    params.tag.as_deref().map_or(Ok(()), check_tag)?;
    let (store, account) = (&context.api.store, context.caller.account);
    let most = context.api.auth.limits(account).await?.webhooks.map_or(MAX_WEBHOOKS, |most| most as usize);
    let bounds = store.event_bounds(account).await.map_err(internal)?;
    let secret = new_secret();
    let row = WebhookRow {
        id: WebhookId::from_uuid(Uuid::now_v7()),
        account,
        name: params.name,
        url: params.url,
        kinds: params.kinds,
        tag: params.tag,
        secret: secret.clone(),
        previous: None,
        enabled: true,
        disabled: None,
        through: bounds.newest,
        failures: 0,
        failing_since_ms: None,
        retry_ms: None,
        created_ms: now_ms(),
    };
    let id = row.id;
    let changes = async {
        let have = store.webhooks(account).await?.len();
        if have >= MAX_WEBHOOKS.min(most) {
            let raise = if most < MAX_WEBHOOKS { ", or raise the limit" } else { "" };
            let detail = format!("the account has its {have} webhooks: delete one first{raise}");
            return Err(ProblemKind::QuotaExceeded.because(detail).into());
        }
        let detail = json!({"url": row.url, "kinds": row.kinds, "tag": row.tag});
        let audit = context.audit("webhooks.create", format!("webhook:{id}"), detail);
        Ok(vec![Change::CreateWebhook(Box::new(row)), audit])
    };
    context.api.webhooks.change(account, id, changes).await.map_err(not_changed)?;
    let webhook = get(context, WebhookRef { webhook: id }).await?;
    Ok(WebhookSecret { webhook, secret: secret.reveal().to_owned(), previous_until_ms: None })
}

pub(in crate::api) async fn update(context: Context, params: WebhookUpdate) -> Result<Webhook, Problem> {
    check(&context, params.url.as_deref(), params.name.as_deref(), params.kinds.as_deref())?;
    params.tag.as_deref().filter(|tag| !tag.is_empty()).map_or(Ok(()), check_tag)?;
    let (account, id) = (context.caller.account, params.webhook);
    let changes = async {
        let mut row = find(&context, id).await?;
        let detail = json!({"url": params.url, "name": params.name, "kinds": params.kinds, "tag": params.tag,
            "enabled": params.enabled, "skip_to_now": params.skip_to_now});
        let bounds = context.api.store.event_bounds(account).await?;
        apply(&mut row, params, bounds.newest, now_ms());
        let audit = context.audit("webhooks.update", format!("webhook:{id}"), detail);
        Ok(vec![Change::UpdateWebhook(Box::new(row)), audit])
    };
    context.api.webhooks.change(account, id, changes).await.map_err(not_changed)?;
    get(context, WebhookRef { webhook: id }).await
}

/// What is asked for, done to a row. Whoever changes something wants it tried now.
fn apply(row: &mut WebhookRow, asked: WebhookUpdate, newest: EventOffset, now_ms: u64) {
    if let Some(enabled) = asked.enabled {
        row.enabled = enabled;
        row.disabled = if enabled { None } else { row.disabled.take().or_else(|| Some(by_hand(now_ms))) };
    }
    row.url = asked.url.unwrap_or_else(|| std::mem::take(&mut row.url));
    row.name = asked.name.unwrap_or_else(|| std::mem::take(&mut row.name));
    row.kinds = asked.kinds.unwrap_or_else(|| std::mem::take(&mut row.kinds));
    row.tag = asked.tag.or(row.tag.take()).filter(|tag| !tag.is_empty());
    if asked.skip_to_now {
        row.through = newest;
    }
    (row.failures, row.failing_since_ms, row.retry_ms) = (0, None, None);
}

pub(in crate::api) async fn delete(context: Context, params: WebhookRef) -> Result<Gone, Problem> {
    let (account, id) = (context.caller.account, params.webhook);
    let changes = async {
        let row = find(&context, id).await?;
        let audit = context.audit("webhooks.delete", format!("webhook:{id}"), json!({"url": row.url}));
        Ok(vec![Change::DeleteWebhook { account, webhook: id }, audit])
    };
    context.api.webhooks.change(account, id, changes).await.map_err(not_changed)?;
    Ok(Gone {})
}

pub(in crate::api) async fn rotate_secret(
    context: Context,
    params: WebhookRef,
) -> Result<WebhookSecret, Problem> {
    let (account, id) = (context.caller.account, params.webhook);
    let secret = new_secret();
    let until = now_ms() + PREVIOUS_SECRET_KEPT.as_millis() as u64;
    let changes = async {
        let mut row = find(&context, id).await?;
        row.previous = Some((std::mem::replace(&mut row.secret, secret.clone()), until));
        let audit = context.audit("webhooks.rotate_secret", format!("webhook:{id}"), json!({}));
        Ok(vec![Change::UpdateWebhook(Box::new(row)), audit])
    };
    context.api.webhooks.change(account, id, changes).await.map_err(not_changed)?;
    let webhook = get(context, params).await?;
    Ok(WebhookSecret { webhook, secret: secret.reveal().to_owned(), previous_until_ms: Some(until) })
}

pub(in crate::api) async fn test(context: Context, params: WebhookRef) -> Result<Delivery, Problem> {
    let row = find(&context, params.webhook).await?;
    context.api.webhooks.test(&row).await.map_err(not_sent)
}

pub(in crate::api) async fn deliveries(
    context: Context,
    params: DeliveryList,
) -> Result<Deliveries, Problem> {
    let limit = params.limit.unwrap_or(PAGE_EVENTS);
    if limit == 0 || limit > MAX_PAGE_EVENTS {
        let detail = format!("limit is {limit}; it must be 1 to {MAX_PAGE_EVENTS}");
        return Err(ProblemKind::InvalidParams.because(detail).at("/limit"));
    }
    let row = find(&context, params.webhook).await?;
    let found = context.api.store.deliveries(row.id, params.before, limit).await.map_err(internal)?;
    let next = if found.len() == limit as usize { found.last().map(|last| last.id) } else { None };
    Ok(Deliveries { deliveries: found, next })
}

pub(in crate::api) async fn redeliver(context: Context, params: Redeliver) -> Result<Delivery, Problem> {
    let row = find(&context, params.webhook).await?;
    let store = &context.api.store;
    let earlier = store.delivery(row.id, params.delivery).await.map_err(internal)?;
    let earlier = earlier.ok_or_else(|| not_found("delivery", params.delivery))?;
    let Some(offset) = earlier.offset else {
        return Err(ProblemKind::Conflict.because("a test is not redelivered: call webhooks.test again"));
    };
    let before = EventOffset(offset.0.saturating_sub(1));
    let found = store.events_after(row.account, before, 1).await.map_err(internal)?;
    let gone = || ProblemKind::Conflict.because(format!("event {offset} is not in the log any more"));
    let event = found.into_iter().find(|event| event.offset == offset).ok_or_else(gone)?;
    context.api.webhooks.redeliver(&row, &earlier, &event).await.map_err(not_sent)
}

/// What can be said of a webhook's parts without trying.
fn check(
    context: &Context,
    url: Option<&str>,
    name: Option<&str>,
    kinds: Option<&[String]>,
) -> Result<(), Problem> {
    let refused = |error: OutboundError| ProblemKind::InvalidParams.because(error.to_string()).at("/url");
    url.map_or(Ok(()), |url| context.api.webhooks.check(url)).map_err(refused)?;
    if name.is_some_and(|name| name.chars().count() > MAX_NAME_CHARS) {
        let detail = format!("a name has at most {MAX_NAME_CHARS} characters");
        return Err(ProblemKind::InvalidParams.because(detail).at("/name"));
    }
    kinds.map_or(Ok(()), check_kinds)
}

async fn find(context: &Context, webhook: WebhookId) -> Result<WebhookRow, Problem> {
    let row = context.api.store.webhook(context.caller.account, webhook).await.map_err(internal)?;
    row.ok_or_else(|| not_found("webhook", webhook))
}

async fn shown(context: &Context, row: WebhookRow) -> Result<Webhook, Problem> {
    let store = &context.api.store;
    let newest = store.event_bounds(row.account).await.map_err(internal)?.newest;
    let last = store.deliveries(row.id, None, 1).await.map_err(internal)?.pop();
    Ok(Webhook {
        id: row.id,
        name: row.name,
        url: row.url,
        kinds: row.kinds,
        tag: row.tag,
        enabled: row.enabled,
        disabled: row.disabled,
        through: row.through,
        behind: newest.0.saturating_sub(row.through.0),
        failures: row.failures,
        retry_ms: row.retry_ms,
        last,
        created_ms: row.created_ms,
    })
}

fn not_changed(error: ChangeError) -> Problem {
    match error {
        ChangeError::Refused(problem) => problem,
        ChangeError::Read(error) => internal(error),
        ChangeError::Commit(CommitError::NotFound(what)) => {
            ProblemKind::NotFound.because(format!("there is no such {what} in this account"))
        }
        ChangeError::Commit(error) => {
            tracing::error!(%error, "a webhook was not changed");
            ProblemKind::Internal.because("the webhook was not changed: see the broker's log")
        }
    }
}

fn not_sent(error: SendError) -> Problem {
    match error {
        SendError::Busy => {
            let mut problem = ProblemKind::Busy.because(error.to_string());
            problem.retry_after_s = Some(5);
            problem
        }
        SendError::Commit(error) => {
            tracing::error!(%error, "a delivery was not logged");
            ProblemKind::Internal.because("the request was sent but not logged: see the broker's log")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::AccountId;

    #[test]
    fn an_update_changes_what_it_names() {
        let id = WebhookId::from_uuid(Uuid::nil());
        let mut row = WebhookRow {
            id,
            account: AccountId::from_uuid(Uuid::nil()),
            name: "shop".into(),
            url: "https://shop.example/".into(),
            kinds: vec!["job.".into()],
            tag: Some("t".into()),
            secret: new_secret(),
            previous: None,
            enabled: true,
            disabled: None,
            through: EventOffset(5),
            failures: 3,
            failing_since_ms: Some(1),
            retry_ms: Some(2),
            created_ms: 0,
        };
        let update = |text: &str| -> WebhookUpdate {
            let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
            value["webhook"] = json!(id);
            serde_json::from_value(value).unwrap()
        };
        let before = row.clone();
        apply(&mut row, update(r#"{"enabled": false}"#), EventOffset(9), 77);
        assert_eq!((row.enabled, row.disabled.as_ref().unwrap().at_ms, row.failures), (false, 77, 0));
        assert_eq!((&row.url, &row.kinds, row.through), (&before.url, &before.kinds, EventOffset(5)));
        apply(&mut row, update(r#"{"enabled": true, "skip_to_now": true, "kinds": []}"#), EventOffset(9), 78);
        assert_eq!((row.enabled, row.disabled.is_none(), row.through), (true, true, EventOffset(9)));
        assert!(row.kinds.is_empty() && row.name == "shop" && row.tag.as_deref() == Some("t"));
        apply(&mut row, update(r#"{"tag": ""}"#), EventOffset(9), 79);
        assert_eq!(row.tag, None);
    }
}
