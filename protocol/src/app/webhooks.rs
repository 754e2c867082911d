//! Webhooks: an account's events sent to URLs, signed as Standard Webhooks says (standardwebhooks.com).

use serde::{Deserialize, Serialize};

use super::Event;
use crate::ids::{DeliveryId, EventOffset, WebhookId};

/// A webhook as the account sees it; its secret is shown once, by what made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// For people.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// Only kinds that begin with one of these; empty means all.
    pub kinds: Vec<String>,
    /// Only events of jobs with this tag.
    pub tag: Option<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why it is not, where the broker ended it.
    pub disabled: Option<WebhookDisabled>,
    /// Every event up to here was taken by the URL, or hidden by the filter. Enabled again, it goes on from here.
    pub through: EventOffset,
    /// Events of the account after `through`.
    pub behind: u64,
    /// How often the event after `through` was tried in vain.
    pub failures: u32,
    /// When it is tried again, after a failure.
    pub retry_ms: Option<u64>,
    /// What the last request came to.
    pub last: Option<Delivery>,
    /// When it was made.
    pub created_ms: u64,
}

/// The broker sends nothing more until somebody enables the webhook again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookDisabled {
    /// When.
    pub at_ms: u64,
    /// Why, in words.
    pub reason: String,
}

/// `webhooks.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Webhooks {
    /// All of the account, oldest first.
    pub webhooks: Vec<Webhook>,
}

/// A webhook named by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookRef {
    /// The webhook.
    pub webhook: WebhookId,
}

/// `webhooks.create`: begins with the next event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookCreate {
    /// `https://` or `http://`, without user and password; the address must be public, or allowed by the broker's configuration.
    pub url: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Only kinds that begin with one of these; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Only events of jobs with this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// `webhooks.update`: what is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookUpdate {
    /// The webhook.
    pub webhook: WebhookId,
    /// Another URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Another tag; an empty one lets all events through again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Sends events, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Leaves out everything up to now, instead of going on where it stopped.
    #[serde(default)]
    pub skip_to_now: bool,
}

/// A webhook with its secret: answer to `webhooks.create` and `webhooks.rotate_secret`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// `whsec_` and base64; not shown again.
    pub secret: String,
    /// Until when requests are signed with the secret before, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until_ms: Option<u64>,
}

/// `webhooks.deliveries`: the last requests, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryList {
    /// The webhook.
    pub webhook: WebhookId,
    /// Only what is older than this one (`next` of the page before).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<DeliveryId>,
    /// At most 500, 50 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deliveries {
    /// Newest first; the last 100 of the last 7 days are kept.
    pub deliveries: Vec<Delivery>,
    /// `before` of the next page, where there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DeliveryId>,
}

/// One request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The header `webhook-id`: the same for every request about the same event.
    pub message: String,
    /// The event; none for a test.
    pub offset: Option<EventOffset>,
    /// Its kind.
    pub kind: String,
    /// 1 is the first.
    pub attempt: u32,
    /// Why it was sent.
    pub cause: DeliveryCause,
    /// When it was begun.
    pub at_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// Whether the URL took it: an answer of 200 to 299.
    pub taken: bool,
    /// The answer's status; none where there was no answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// The beginning of the answer to a request that was not taken, at most 1 KiB.
    pub response: Option<String>,
}

/// Why a request to a webhook was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryCause {
    /// Something happened.
    Event,
    /// `webhooks.test`.
    Test,
    /// `webhooks.redeliver`.
    Redelivery,
}

/// `webhooks.redeliver`: sends the event of an earlier request once more, at once. The order of other events does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redeliver {
    /// The webhook.
    pub webhook: WebhookId,
    /// The earlier request.
    pub delivery: DeliveryId,
}

/// The body of a request to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookMessage {
    /// The event's kind; `webhook.test` for a test.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, as RFC 3339 says it, in UTC.
    pub timestamp: String,
    /// The event, as `events.subscribe` shows it.
    pub data: Event,
}
