//! The broker's time, whatever the PC's clock says.
//!
//! A `welcome`, a `report_ok` or a refused dial says what time it is; from then on the monotonic clock carries it. Before the
//! first of them the wall clock counts, corrected by what was learnt in an earlier run.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use inkwire_transport::ClockOffset;

use crate::limits::CLOCK_TOLERANCE_MS;

/// The broker's time as the agent knows it.
#[derive(Debug)]
pub(crate) struct BrokerClock {
    /// For checking certificates.
    tls: Arc<ClockOffset>,
    known: Mutex<Option<(u64, Instant)>>,
    /// Broker's time less the wall clock's.
    offset_ms: AtomicI64,
    /// What the wall clock is taken to be off by: a test's.
    skew_ms: i64,
    told: AtomicBool,
}

impl BrokerClock {
    /// A clock that starts with what an earlier run has learnt. `skew_ms` is added to the wall clock.
    pub(crate) fn new(remembered_offset_ms: Option<i64>, skew_ms: i64) -> Self {
        let offset = remembered_offset_ms.unwrap_or(0);
        Self {
            tls: Arc::new(ClockOffset::new()),
            known: Mutex::new(None),
            offset_ms: AtomicI64::new(offset),
            skew_ms,
            told: AtomicBool::new(false),
        }
    }

    /// The broker has said what time it is. Returns the wall clock's new offset where it differs notably from the one known.
    pub(crate) fn correct(&self, broker_time_ms: u64) -> Option<i64> {
        self.tls.correct(Duration::from_millis(broker_time_ms));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((broker_time_ms, Instant::now()));
        let offset = i64::try_from(broker_time_ms).unwrap_or(i64::MAX).saturating_sub(self.wall_ms());
        let before = self.offset_ms.swap(offset, Ordering::AcqRel);
        if offset.unsigned_abs() > CLOCK_TOLERANCE_MS && !self.told.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                behind_s = offset / 1000,
                "this PC's clock is wrong by more than 30 s; the broker's time is used instead: set the clock"
            );
        }
        (offset.abs_diff(before) > 1000).then_some(offset)
    }

    /// Now, in the broker's time, as Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((time, at)) => time.saturating_add(u64::try_from(at.elapsed().as_millis()).unwrap_or(0)),
            None => {
                let wall = self.wall_ms().saturating_add(self.offset_ms.load(Ordering::Acquire));
                u64::try_from(wall).unwrap_or(0)
            }
        }
    }

    /// How far the wall clock is off, where that is worth telling (positive: it is behind).
    pub(crate) fn notable_offset_ms(&self) -> Option<i64> {
        let offset = self.offset_ms.load(Ordering::Acquire);
        (offset.unsigned_abs() > CLOCK_TOLERANCE_MS).then_some(offset)
    }

    /// The clock by which certificates are judged.
    pub(crate) fn tls(&self) -> Arc<ClockOffset> {
        Arc::clone(&self.tls)
    }

    fn wall_ms(&self) -> i64 {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => ms(since),
            Err(before) => -ms(before.duration()),
        };
        wall.saturating_add(self.skew_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_outranks_the_pc() {
        let clock = BrokerClock::new(None, 0);
        let honest = clock.now_ms();
        let wrong = BrokerClock::new(None, -86_400_000);
        assert!(honest - wrong.now_ms() > 86_000_000);
        assert!(wrong.correct(honest).is_some_and(|offset| (86_000_000..87_000_000).contains(&offset)));
        assert!(wrong.now_ms() >= honest && wrong.now_ms() < honest + 60_000);
        assert!(wrong.notable_offset_ms().is_some() && clock.notable_offset_ms().is_none());
        assert_eq!(wrong.correct(wrong.now_ms()), None, "nothing new");
    }

    #[test]
    fn what_an_earlier_run_has_learnt_counts_until_the_broker_speaks() {
        let honest = BrokerClock::new(None, 0).now_ms();
        let clock = BrokerClock::new(Some(86_400_000), -86_400_000);
        assert!(clock.now_ms().abs_diff(honest) < 60_000);
        // 1970: the wall clock is about zero, or before it.
        let clock = BrokerClock::new(None, -i64::try_from(honest).unwrap() - 10_000);
        assert_eq!(clock.now_ms(), 0);
    }
}
