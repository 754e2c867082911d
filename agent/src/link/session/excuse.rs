//! Nothing is read while the agent cannot take more: silence that it makes itself says nothing about the path. Pure.
//!
//! But not for ever: behind a queue that stands still the path may have died too.

use std::time::Instant;

use crate::limits::STUCK_EXCUSED;

/// Since when nothing was read on purpose.
#[derive(Debug, Default)]
pub(super) struct Excuse(Option<Instant>);

impl Excuse {
    /// Whether silence is excused now; `stuck` says whether the agent can take nothing more at this instant.
    pub(super) fn holds(&mut self, now: Instant, stuck: bool) -> bool {
        if !stuck {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        now.saturating_duration_since(since) < STUCK_EXCUSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_queue_that_moves_is_excused_and_one_that_stands_still_not_for_ever() {
        let (start, mut excuse) = (Instant::now(), Excuse::default());
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(!excuse.holds(now, false));
            assert!(excuse.holds(now, true), "it moved a moment ago");
        }
        let stuck = start + Duration::from_secs(99);
        assert!(excuse.holds(stuck + STUCK_EXCUSED / 2, true));
        assert!(!excuse.holds(stuck + STUCK_EXCUSED, true));
        assert!(!excuse.holds(stuck + STUCK_EXCUSED * 2, true));
    }
}
