//! One request to a webhook: signed, sent, answered.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use inkwire_protocol::app::{Delivery, DeliveryCause};
use inkwire_protocol::ids::{DeliveryId, EventOffset};
use uuid::Uuid;

use super::rules;
use crate::clock::now_ms;
use crate::limits::{EXCERPT_BYTES, MAX_WEBHOOK_ANSWER_BYTES, WEBHOOK_CONNECTION_KEPT, WEBHOOK_WITHIN};
use crate::outbound::{Outbound, OutboundError, Target, Wire};
use crate::store::WebhookRow;

/// What is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// The header `webhook-id`.
    pub(super) id: String,
    pub(super) offset: Option<EventOffset>,
    pub(super) kind: String,
    pub(super) body: String,
}

/// What became of it, for the log, and when the URL wants to be asked again.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) delivery: Delivery,
    pub(super) retry_after: Option<Duration>,
}

/// An open connection to a webhook, to be used again.
#[derive(Debug, Default)]
pub(super) struct Line {
    wire: Option<(Wire, Instant)>,
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    excerpt: Option<String>,
}

/// Sends a message and says what became of it.
pub(super) async fn send(
    outbound: &Outbound,
    line: &mut Line,
    webhook: &WebhookRow,
    message: &Message,
    (cause, attempt): (DeliveryCause, u32),
) -> Sent {
    let (at_ms, began) = (now_ms(), Instant::now());
    let answered = match tokio::time::timeout(WEBHOOK_WITHIN, post(outbound, line, webhook, message)).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WEBHOOK_WITHIN.as_secs())),
    };
    let (status, retry_after, response, error) = match answered {
        Ok(answer) => (Some(answer.status), answer.retry_after, answer.excerpt, None),
        Err(error) => (None, None, None, Some(error)),
    };
    if status.is_none() {
        line.wire = None;
    }
    let delivery = Delivery {
        id: DeliveryId::from_uuid(Uuid::now_v7()),
        message: message.id.clone(),
        offset: message.offset,
        kind: message.kind.clone(),
        attempt,
        cause,
        at_ms,
        duration_ms: began.elapsed().as_millis() as u64,
        taken: status.is_some_and(|status| (200..300).contains(&status)),
        status,
        error,
        response,
    };
    Sent { delivery, retry_after }
}

async fn post(
    outbound: &Outbound,
    line: &mut Line,
    webhook: &WebhookRow,
    message: &Message,
) -> Result<Answer, OutboundError> {
    let target = outbound.check(&webhook.url)?;
    let kept = line
        .wire
        .take()
        .filter(|(wire, since)| wire.serves(&target) && since.elapsed() < WEBHOOK_CONNECTION_KEPT);
    if let Some((mut wire, since)) = kept {
        match wire.send(&target, request(webhook, message)?).await {
            Ok(answer) => return read(answer, wire, since, line).await,
            // The other side may have closed it meanwhile: that counts for nothing.
            Err(error) => tracing::debug!(%error, "a kept connection was no good"),
        }
    }
    let mut wire = outbound.connect(&target).await?;
    let answer = wire.send(&target, request(webhook, message)?).await?;
    read(answer, wire, Instant::now(), line).await
}

fn request(webhook: &WebhookRow, message: &Message) -> Result<Request<Full<Bytes>>, OutboundError> {
    let wrong = |error: &dyn std::fmt::Display| OutboundError::Setup(error.to_string());
    let now = now_ms();
    let at_s = i64::try_from(now / 1000).unwrap_or(i64::MAX);
    let previous =
        webhook.previous.iter().filter(|(_, until)| *until > now).map(|(secret, _)| secret.reveal());
    let secrets = std::iter::once(webhook.secret.reveal()).chain(previous);
    let signature =
        rules::signature(secrets, &message.id, at_s, &message.body).map_err(|error| wrong(&error))?;
    let mut request = Request::new(Full::new(Bytes::from(message.body.clone())));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("inkwire/", env!("CARGO_PKG_VERSION"))));
    headers.insert("webhook-timestamp", HeaderValue::from(at_s));
    for (name, value) in [("webhook-id", &message.id), ("webhook-signature", &signature)] {
        headers.insert(name, HeaderValue::from_str(value).map_err(|error| wrong(&error))?);
    }
    Ok(request)
}

/// Reads the answer; where its body is short the connection is kept.
async fn read(
    answer: http::Response<Incoming>,
    wire: Wire,
    since: Instant,
    line: &mut Line,
) -> Result<Answer, OutboundError> {
    let (head, mut body) = answer.into_parts();
    let status = head.status.as_u16();
    let mut text = Vec::new();
    let mut read = 0;
    let whole = loop {
        match body.frame().await {
            None => break true,
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                read += data.len();
                let room = EXCERPT_BYTES.saturating_sub(text.len());
                text.extend_from_slice(&data[..data.len().min(room)]);
                if read > MAX_WEBHOOK_ANSWER_BYTES {
                    break false;
                }
            }
            // The status is what counts.
            Some(Err(_)) => break false,
        }
    };
    if whole {
        line.wire = Some((wire, since));
    }
    let taken = head.status.is_success();
    let excerpt = (!taken && !text.is_empty()).then(|| excerpt(&text));
    Ok(Answer { status, retry_after: retry_after(&head.headers), excerpt })
}

/// Text for people: what cannot be shown is replaced.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown =
        text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{FFFD}' } else { c });
    let mut excerpt: String = shown.collect();
    while excerpt.len() > EXCERPT_BYTES {
        excerpt.pop();
    }
    excerpt
}

/// `Retry-After` in seconds; dates are not heeded.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a URL would be taken, for those who make webhooks.
pub(super) fn check(outbound: &Outbound, url: &str) -> Result<Target, OutboundError> {
    outbound.check(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_can_be_shown_and_is_short() {
        assert_eq!(excerpt(b"no\0 \xff\nthanks"), "no\u{FFFD} \u{FFFD}\nthanks");
        assert!(excerpt(&[0xff; EXCERPT_BYTES]).len() <= EXCERPT_BYTES);
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static(" 7 "));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), None);
    }
}
