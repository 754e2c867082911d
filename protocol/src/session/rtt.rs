//! How long the path takes, and how long an answer may take before the path counts as dead.

use std::time::Duration;

use crate::limits::{MAX_PROBE_DEADLINE, MIN_PROBE_DEADLINE};

/// Round-trip times of one connection, smoothed as in RFC 6298 section 2.
#[derive(Debug, Clone, Default)]
pub struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    shortest: Option<Duration>,
}

impl RoundTrip {
    /// Takes one measured round trip: a pong, an answered report, a handshake, or the kernel's own estimate.
    pub fn on_sample(&mut self, sample: Duration) {
        self.shortest = Some(self.shortest.map_or(sample, |shortest| shortest.min(sample)));
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// The smoothed round trip, as `report` carries it.
    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long an answer may take: four times the shortest round trip, or what a loaded path was seen to take, whichever
    /// is longer, after what is queued before the question (`queued`) has left.
    ///
    /// The loaded part is `smoothed + 4 x variation`, not `4 x smoothed`: behind a deep buffer at 1 Mbit/s the smoothed
    /// value is mostly the queue of our own transfer, and four times that would hide a dead path for seconds, while
    /// the variation grows at once when the queue does. It is never taken for less than an eighth of the smoothed value.
    pub fn deadline(&self, queued: Duration) -> Duration {
        let smoothed = self.smoothed.unwrap_or_default();
        let loaded = smoothed.saturating_add(self.variation.max(smoothed / 8).saturating_mul(4));
        let unloaded = self.shortest.unwrap_or_default().saturating_mul(4);
        loaded.max(unloaded).saturating_add(queued).clamp(MIN_PROBE_DEADLINE, MAX_PROBE_DEADLINE)
    }
}

/// How long `bytes` take to leave at `bytes_per_s`; nothing where the rate is not known.
pub fn drain_time(bytes: u64, bytes_per_s: Option<f64>) -> Duration {
    match bytes_per_s {
        Some(rate) if rate > 0.0 => {
            let seconds = (bytes as f64 / rate).min(MAX_PROBE_DEADLINE.as_secs_f64());
            Duration::from_secs_f64(seconds)
        }
        Some(_) if bytes > 0 => MAX_PROBE_DEADLINE,
        Some(_) | None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn after(samples: &[u64]) -> RoundTrip {
        let mut rtt = RoundTrip::default();
        samples.iter().for_each(|&sample| rtt.on_sample(ms(sample)));
        rtt
    }

    #[test]
    fn an_ordinary_path_gets_the_shortest_deadline() {
        assert_eq!(RoundTrip::default().deadline(Duration::ZERO), MIN_PROBE_DEADLINE);
        assert_eq!(after(&[200; 20]).deadline(Duration::ZERO), MIN_PROBE_DEADLINE);
        assert_eq!(after(&[600; 20]).deadline(Duration::ZERO), ms(2400));
    }

    #[test]
    fn a_growing_queue_is_believed_at_once_and_a_steady_one_with_room() {
        let mut rtt = after(&[40; 50]);
        rtt.on_sample(ms(4000));
        assert!(rtt.deadline(Duration::ZERO) > ms(4000), "{rtt:?}");
        let steady = after(&[8000; 100]).deadline(Duration::ZERO);
        assert!(steady >= ms(12_000) && steady <= MAX_PROBE_DEADLINE, "{steady:?}");
    }

    #[test]
    fn what_is_queued_before_the_question_counts() {
        assert_eq!(drain_time(250_000, Some(125_000.0)), ms(2000));
        assert_eq!(drain_time(1, Some(0.0)), MAX_PROBE_DEADLINE);
        assert_eq!(drain_time(u64::MAX, Some(1.0)), MAX_PROBE_DEADLINE);
        assert_eq!(drain_time(1, None), Duration::ZERO);
        assert!(after(&[200; 20]).deadline(ms(3000)) > ms(3000));
    }
}
