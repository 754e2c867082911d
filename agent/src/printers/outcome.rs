//! Pure: what went wrong, and when, in the words of [`Outcome`].

use std::time::Duration;

use inkwire_protocol::limits::MAX_DETAIL_CHARS;

use super::backend::{DocumentError, JournalError, Outcome};
use super::limits::RETRY_BUSY;

/// The device is not to be had; nothing was given.
pub(super) fn not_started(reason: &str, detail: impl Into<String>, retry_after: Duration) -> Outcome {
    Outcome::NotStarted { reasons: vec![reason.to_owned()], detail: brief(detail), retry_after }
}

/// Bytes went out and nobody can say what became of them.
pub(super) fn uncertain(reason: &str, detail: impl Into<String>, delivered_bytes: u64) -> Outcome {
    Outcome::Uncertain { reason: reason.to_owned(), detail: brief(detail), delivered_bytes }
}

/// Refused for good.
pub(super) fn aborted(reason: &str, detail: impl Into<String>) -> Outcome {
    Outcome::Aborted { reason: reason.to_owned(), detail: brief(detail) }
}

/// The intent could not be written, so nothing was given.
pub(super) fn without_intent(error: &JournalError) -> Outcome {
    not_started("agent-storage-error", error.to_string(), RETRY_BUSY)
}

/// The document failed when `delivered` bytes of it had been given to the device.
pub(super) fn document_failed(error: &DocumentError, delivered: u64) -> Outcome {
    match (error, delivered) {
        (DocumentError::Gap(_), 0) => not_started("document-not-ready", error.to_string(), RETRY_BUSY),
        (DocumentError::Damaged(_), 0) => aborted("spool-damaged", error.to_string()),
        (DocumentError::Dropped, 0) => Outcome::Canceled,
        (DocumentError::Gap(_), _) => uncertain("device-timeout", error.to_string(), delivered),
        (DocumentError::Damaged(_), _) => uncertain("spool-damaged", error.to_string(), delivered),
        (DocumentError::Dropped, _) => uncertain("transfer-dropped", error.to_string(), delivered),
    }
}

/// A cancel that came when `delivered` bytes had been given.
pub(super) fn canceled_at(delivered: u64) -> Outcome {
    if delivered == 0 {
        return Outcome::Canceled;
    }
    uncertain("canceled-at-device", format!("canceled when the device had {delivered} bytes"), delivered)
}

/// After a crash of the agent, for devices that cannot be asked.
pub(super) fn nobody_knows(bytes: u64) -> Outcome {
    uncertain("agent-restarted", "the agent ended while the device had the document", bytes)
}

/// What devices and programs say is cut where the protocol cuts it.
pub(super) fn brief(detail: impl Into<String>) -> String {
    let detail = detail.into();
    match detail.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((cut, _)) => detail[..cut].to_owned(),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_byte_nothing_is_uncertain() {
        for error in [
            DocumentError::Gap(Duration::ZERO),
            DocumentError::Damaged(String::new()),
            DocumentError::Dropped,
        ] {
            assert!(!matches!(document_failed(&error, 0), Outcome::Uncertain { .. }));
            assert!(matches!(document_failed(&error, 1), Outcome::Uncertain { delivered_bytes: 1, .. }));
        }
        assert_eq!(canceled_at(0), Outcome::Canceled);
        assert!(matches!(canceled_at(7), Outcome::Uncertain { delivered_bytes: 7, .. }));
    }

    #[test]
    fn details_are_cut_between_characters() {
        assert_eq!(brief("é".repeat(5000)).chars().count(), MAX_DETAIL_CHARS);
        assert_eq!(brief("short"), "short");
    }
}
