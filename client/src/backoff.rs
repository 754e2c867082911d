//! How long to wait before the next dial: full jitter, so that a thousand apps do not return at one instant.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, BACKOFF_MAX_BUSY};

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection stood.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait before the next dial; `chance` is uniform in 0..1. The very first retry is nearly immediate. With
    /// `busy` (an upload is open) the wait stays short; what the broker asked for (`at_least`) outranks all.
    pub(crate) fn next(&mut self, chance: f64, busy: bool, at_least: Option<Duration>) -> Duration {
        let ceiling = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(10));
        let ceiling = ceiling.min(if busy { BACKOFF_MAX_BUSY } else { BACKOFF_MAX });
        self.failures = self.failures.saturating_add(1);
        let wait = ceiling.mul_f64(chance.clamp(0.0, 1.0));
        match at_least {
            Some(asked) => asked + wait.min(asked.max(BACKOFF_FIRST)),
            None => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_begins_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.next(1.0, false, None).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5, false, None).as_millis(), 250);
    }

    #[test]
    fn an_upload_makes_it_eager_and_the_broker_outranks_it() {
        let mut backoff = Backoff { failures: 20 };
        assert_eq!(backoff.next(1.0, true, None), BACKOFF_MAX_BUSY);
        let asked = Duration::from_secs(60);
        assert!(backoff.next(0.0, true, Some(asked)) >= asked);
    }
}
