//! The time by which certificates are judged. A PC's clock may stand in 1970; a broker that has proved itself by
//! the pinned key says what time it is.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// The system's clock until it was corrected; shared by the verifier (which asks) and the link (which corrects).
#[derive(Debug, Default)]
pub struct ClockOffset(Mutex<Option<Correction>>);

#[derive(Debug, Clone, Copy)]
struct Correction {
    broker_time: Duration,
    at: Instant,
    system_at: Duration,
}

fn system_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl ClockOffset {
    /// A clock that believes the system's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over the broker's time (since the Unix epoch) as of now; to be called for each `welcome` and for the
    /// broker's time in a 401.
    pub fn correct(&self, broker_time: Duration) {
        let correction = Correction { broker_time, at: Instant::now(), system_at: system_now() };
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(correction);
    }

    /// Whether a broker has told the time.
    pub fn is_corrected(&self) -> bool {
        self.correction().is_some()
    }

    /// The time now, since the Unix epoch: the broker's, carried on by the monotonic clock, or the system's.
    pub fn now(&self) -> Duration {
        self.correction().map_or_else(system_now, |correction| correction.by_monotonic())
    }

    /// How far the system's clock is from the corrected one, in seconds; positive when the system's is ahead.
    pub fn system_ahead_s(&self) -> i64 {
        let signed = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        signed(system_now()).saturating_sub(signed(self.now()))
    }

    /// The times that it may be now. The monotonic clock misses what a PC slept, the system's clock may be
    /// set meanwhile: whichever of the two carried the broker's time rightly, the other may not lock us out.
    pub(crate) fn candidates(&self) -> [UnixTime; 2] {
        let both = match self.correction() {
            Some(correction) => [correction.by_monotonic(), correction.by_system()],
            None => [system_now(); 2],
        };
        both.map(UnixTime::since_unix_epoch)
    }

    fn correction(&self) -> Option<Correction> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Correction {
    fn by_monotonic(&self) -> Duration {
        self.broker_time + self.at.elapsed()
    }

    fn by_system(&self) -> Duration {
        (self.broker_time + system_now()).saturating_sub(self.system_at)
    }
}

impl TimeProvider for ClockOffset {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrected_clock_tells_the_brokers_time() {
        let clock = ClockOffset::new();
        assert!(!clock.is_corrected() && clock.system_ahead_s() == 0);
        clock.correct(Duration::from_secs(1_000));
        assert!(clock.is_corrected() && clock.now() >= Duration::from_secs(1_000));
        assert!(clock.now() < Duration::from_secs(1_060));
        assert!(clock.system_ahead_s() > 1_000_000_000, "{}", clock.system_ahead_s());
        assert!(clock.candidates().iter().all(|time| (1_000..1_060).contains(&time.as_secs())));
    }
}
