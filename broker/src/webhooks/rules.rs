//! When a webhook is tried again, when it is given up, and what is sent. Pure: time and chance are arguments.

use std::time::Duration;

use inkwire_protocol::app::EventPosition;
use standardwebhooks::WebhookError;

use crate::limits::{WEBHOOK_GIVEN_UP_AFTER, WEBHOOK_LONGEST_PAUSE};

/// Pauses after the first failures, in seconds; the last one goes on.
const PAUSES_S: [u64; 6] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 3600];
/// HTTP's "gone for good".
const GONE: u16 = 410;

/// What happens after a request that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterFailure {
    Retry { at_ms: u64 },
    Disable { reason: String },
}

/// Judges the `failures`th failure in a row, which began `since_ms`. `jitter` is 0 to 1: pauses differ by up to a fifth, so that
/// webhooks that failed together do not come back together.
pub(super) fn after_failure(
    failures: u32,
    since_ms: u64,
    now_ms: u64,
    status: Option<u16>,
    retry_after: Option<Duration>,
    jitter: f64,
) -> AfterFailure {
    if status == Some(GONE) {
        return AfterFailure::Disable { reason: "the URL answered 410 Gone".to_owned() };
    }
    if now_ms.saturating_sub(since_ms) >= WEBHOOK_GIVEN_UP_AFTER.as_millis() as u64 {
        let hours = WEBHOOK_GIVEN_UP_AFTER.as_secs() / 3600;
        return AfterFailure::Disable { reason: format!("the URL took nothing for {hours} hours") };
    }
    let step = PAUSES_S.get(failures.saturating_sub(1) as usize).or(PAUSES_S.last());
    let pause =
        Duration::from_secs(step.copied().unwrap_or(3600)).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
    let asked = retry_after.unwrap_or_default().min(WEBHOOK_LONGEST_PAUSE);
    AfterFailure::Retry { at_ms: now_ms + pause.max(asked).as_millis() as u64 }
}

/// The name of the message about an event: the same for every request about it, for every webhook.
pub(super) fn message_id(at: EventPosition) -> String {
    format!("evt_{}_{}", at.epoch.uuid().simple(), at.offset)
}

/// The body: the event's JSON is written already.
pub(super) fn body(kind: &str, at_ms: u64, json: &str) -> String {
    format!(r#"{{"type":"{kind}","timestamp":"{}","data":{json}}}"#, rfc3339(at_ms))
}

/// The header `webhook-signature`: one signature for each secret that is still good.
pub(super) fn signature<'a>(
    secrets: impl Iterator<Item = &'a str>,
    message: &str,
    at_s: i64,
    body: &str,
) -> Result<String, WebhookError> {
    let sign = |secret: &str| standardwebhooks::Webhook::new(secret)?.sign(message, at_s, body.as_bytes());
    let signatures: Vec<String> = secrets.map(sign).collect::<Result<_, _>>()?;
    Ok(signatures.join(" "))
}

/// Unix milliseconds as RFC 3339 says them, in UTC. The civil date of a day number goes by eras of 400 years, which begin with March, so
/// that the leap day is the last one of a year.
pub(super) fn rfc3339(at_ms: u64) -> String {
    let (days, in_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, ms) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{EventOffset, StoreEpoch};
    use uuid::Uuid;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn pauses_grow_for_a_day_then_it_is_given_up() {
        let (mut now, mut failures) = (1_000_000, 0);
        let since = now;
        let mut pauses = Vec::new();
        let reason = loop {
            failures += 1;
            match after_failure(failures, since, now, Some(500), None, 0.5) {
                AfterFailure::Retry { at_ms } => {
                    pauses.push((at_ms - now) / 1000);
                    now = at_ms;
                }
                AfterFailure::Disable { reason } => break reason,
            }
        };
        assert_eq!(pauses[..6], [5, 30, 120, 600, 1800, 3600]);
        assert!((24..26).contains(&((now - since) / HOUR_MS)) && reason.contains("24 hours"), "{pauses:?}");
        assert!((25..35).contains(&failures), "{failures} requests in a day");
    }

    #[test]
    fn jitter_gone_and_retry_after() {
        let at = |jitter| after_failure(1, 0, 0, None, None, jitter);
        assert_eq!(at(0.0), AfterFailure::Retry { at_ms: 4000 });
        assert_eq!(at(1.0), AfterFailure::Retry { at_ms: 6000 });
        assert!(matches!(after_failure(1, 0, 0, Some(410), None, 0.5), AfterFailure::Disable { .. }));
        let asked = |seconds| after_failure(1, 0, 0, Some(503), Some(Duration::from_secs(seconds)), 0.5);
        assert_eq!(asked(90), AfterFailure::Retry { at_ms: 90_000 });
        assert_eq!(asked(1_000_000), AfterFailure::Retry { at_ms: HOUR_MS });
    }

    /// The example vector of the Standard Webhooks repository.
    #[test]
    fn signatures_are_what_the_specification_says() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let signed =
            signature([secret].into_iter(), "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
        assert_eq!(signed, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
        let both = signature([secret, "whsec_QUJD"].into_iter(), "m", 1, body).unwrap();
        assert_eq!(both.split(' ').count(), 2, "both are good while a secret is being replaced");
        assert!(signature(["whsec_?"].into_iter(), "m", 1, body).is_err());
    }

    #[test]
    fn a_message_has_one_name_and_a_readable_time() {
        let epoch = StoreEpoch::from_uuid(Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057));
        let at = EventPosition { epoch, offset: EventOffset(7) };
        assert_eq!(message_id(at), "evt_01890a5dac96774bbcceb302099a8057_7");
        let text = body("job.completed", 1_709_210_096_007, r#"{"offset":7}"#);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["timestamp"], "2024-02-29T12:34:56.007Z");
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
