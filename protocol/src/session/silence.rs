//! The broker's rule: is an agent that should say something still there? The broker never redials, it only marks the
//! session, so that nobody is shown "sending" for a minute, and closes it when even the reports have stopped.

use std::time::{Duration, Instant};

use crate::limits::{REPORT_ANSWER_WITHIN, SILENT_AFTER, SILENT_PROBE_AFTER};

/// What the broker does about a session from which nothing is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Watch {
    /// Nothing before this instant, unless a byte is read or [`Silence::set_waiting`] is called.
    Nothing {
        /// When to ask again.
        until: Instant,
    },
    /// Queue a Ping and call [`Silence::on_probe_sent`]: an agent with a slow disk answers it, a dead path does not.
    SendProbe,
    /// Mark the session `agent-silent`. Said once; [`Silence::on_bytes`] says when the mark goes.
    MarkSilent,
    /// Close the session with `silent`: two reports are overdue.
    Gone,
}

/// Watches one session at the broker.
#[derive(Debug, Clone)]
pub struct Silence {
    last_byte: Instant,
    report_interval: Duration,
    waiting_since: Option<Instant>,
    probed: bool,
    marked: bool,
}

impl Silence {
    /// A session that has just begun, whose agent reports at this interval.
    pub fn new(now: Instant, report_interval: Duration) -> Self {
        Self { last_byte: now, report_interval, waiting_since: None, probed: false, marked: false }
    }

    /// Bytes were read. True when the session was marked: take the mark away.
    pub fn on_bytes(&mut self, now: Instant) -> bool {
        self.last_byte = now;
        self.probed = false;
        std::mem::take(&mut self.marked)
    }

    /// Whether the agent owes something: a transfer is out of credit, or has packets on their way and nothing left to send.
    pub fn set_waiting(&mut self, now: Instant, waiting: bool) {
        self.waiting_since = if waiting { self.waiting_since.or(Some(now)) } else { None };
    }

    /// The Ping is in the socket's queue.
    pub fn on_probe_sent(&mut self) {
        self.probed = true;
    }

    /// Whether the session is marked `agent-silent` now.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// What to do now.
    pub fn poll(&mut self, now: Instant) -> Watch {
        let gone = self.last_byte + self.report_interval * 2 + REPORT_ANSWER_WITHIN;
        if now >= gone {
            return Watch::Gone;
        }
        let Some(since) = self.waiting_since.filter(|_| !self.marked) else {
            return Watch::Nothing { until: gone };
        };
        let since = since.max(self.last_byte);
        if now >= since + SILENT_AFTER {
            self.marked = true;
            return Watch::MarkSilent;
        }
        let probe = since + SILENT_PROBE_AFTER;
        if now >= probe && !self.probed {
            return Watch::SendProbe;
        }
        let next = if self.probed { since + SILENT_AFTER } else { probe };
        Watch::Nothing { until: next.min(gone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_dead_agent_that_owes_an_ack_is_marked_within_five_seconds_and_once() {
        let start = crate::session::any_instant();
        let mut silence = Silence::new(start, ms(25_000));
        silence.set_waiting(start, true);
        assert_eq!(silence.poll(start), Watch::Nothing { until: start + SILENT_PROBE_AFTER });
        assert_eq!(silence.poll(start + SILENT_PROBE_AFTER), Watch::SendProbe);
        silence.on_probe_sent();
        assert_eq!(silence.poll(start + SILENT_PROBE_AFTER), Watch::Nothing { until: start + SILENT_AFTER });
        assert_eq!(silence.poll(start + SILENT_AFTER), Watch::MarkSilent);
        assert!(SILENT_AFTER <= ms(5000) && silence.is_marked());
        assert!(matches!(silence.poll(start + ms(6000)), Watch::Nothing { .. }));
        assert!(silence.on_bytes(start + ms(7000)) && !silence.is_marked());
    }

    #[test]
    fn an_agent_with_a_slow_disk_answers_the_probe_and_is_not_marked() {
        let start = crate::session::any_instant();
        let mut silence = Silence::new(start, ms(25_000));
        silence.set_waiting(start, true);
        for second in 0..60 {
            let now = start + ms(second * 1000);
            match silence.poll(now) {
                Watch::SendProbe => {
                    silence.on_probe_sent();
                    assert!(!silence.on_bytes(now + ms(200)));
                }
                Watch::Nothing { .. } => {}
                Watch::MarkSilent | Watch::Gone => panic!("marked at {second} s"),
            }
        }
    }

    #[test]
    fn nothing_is_asked_of_an_idle_agent_until_its_reports_have_stopped() {
        let start = crate::session::any_instant();
        let mut silence = Silence::new(start, ms(25_000));
        let gone = start + ms(50_000) + REPORT_ANSWER_WITHIN;
        assert_eq!(silence.poll(start + ms(30_000)), Watch::Nothing { until: gone });
        assert_eq!(silence.poll(gone), Watch::Gone);
    }
}
