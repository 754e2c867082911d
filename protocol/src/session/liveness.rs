//! Is the path still there? The rule of the side that dialled: the agent on delivery, the app on upload.
//!
//! Liveness is bytes read from the socket: not messages, not acks, so that a 16 KiB packet on a 64 kbit/s line counts as it
//! trickles in. Two timers run:
//!
//! ```text
//!  a transfer expects data:  no byte for STALL_AFTER ──▶ SendProbe ──▶ no byte for the deadline ──▶ Dead
//!  always:                   report due              ──▶ SendReport ──▶ no byte for its deadline ──▶ Dead
//! ```
//!
//! While data is expected the path is also measured by a Ping a second, so that the deadline knows of a queue that builds up.

use std::time::{Duration, Instant};

use super::rtt::RoundTrip;
use crate::limits::{
    FLOOR_KEPT, MAX_PROBE_DEADLINE, MEASURE_EVERY, MIN_PROBE_DEADLINE, REPORT_ANSWER_WITHIN,
    REPORT_JITTER_FROM_PERCENT, REPORT_JITTER_TO_PERCENT, STALL_AFTER,
};

/// What the shell does next. Asked again after every input and at `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing before this instant, unless something happens first.
    Nothing {
        /// When to ask again.
        until: Instant,
    },
    /// Queue a Ping (browsers: the `ping` method) and call [`Liveness::on_probe_sent`].
    SendProbe,
    /// Queue a `report` (apps: a Ping) and call [`Liveness::on_report_sent`].
    SendReport,
    /// The path is dead: drop the socket without a close handshake and dial again.
    Dead,
}

/// A question that any byte answers.
#[derive(Debug, Clone, Copy)]
struct Asked {
    sent: Instant,
    deadline: Duration,
}

impl Asked {
    fn due(&self) -> Instant {
        self.sent + self.deadline
    }
}

/// Watches one connection.
#[derive(Debug, Clone)]
pub struct Liveness {
    rtt: RoundTrip,
    last_byte: Instant,
    /// Since when a byte is expected.
    expecting_since: Option<Instant>,
    /// The probe that decides, once the stall timer has fired.
    probe: Option<Asked>,
    /// A probe was asked for by [`Liveness::probe_now`].
    probe_wanted: bool,
    /// The oldest Ping without its Pong, for measuring.
    ping: Option<Instant>,
    last_ping: Instant,
    /// The shortest deadline: doubled by near misses and false alarms.
    floor: Duration,
    floor_raised: Instant,
    report_interval: Duration,
    report_due: Instant,
    /// The oldest report since which no byte came.
    report: Option<Asked>,
    /// The last report that was sent, for measuring.
    report_sent: Option<Instant>,
}

impl Liveness {
    /// A connection that has just begun. `report_interval` is the broker's; `jitter` (0 to 1) is chance, drawn by the caller.
    pub fn new(now: Instant, report_interval: Duration, jitter: f64) -> Self {
        Self {
            rtt: RoundTrip::default(),
            last_byte: now,
            expecting_since: None,
            probe: None,
            probe_wanted: false,
            ping: None,
            last_ping: now,
            floor: MIN_PROBE_DEADLINE,
            floor_raised: now,
            report_interval,
            report_due: now + jittered(report_interval, jitter),
            report: None,
            report_sent: None,
        }
    }

    /// The same session on its next connection: what it has learnt of false alarms stays, round trips are measured anew.
    #[must_use]
    pub fn reconnected(&self, now: Instant, report_interval: Duration, jitter: f64) -> Self {
        let fresh = Self::new(now, report_interval, jitter);
        Self { floor: self.floor, floor_raised: self.floor_raised, ..fresh }
    }

    /// Bytes were read from the socket; which ones does not matter.
    pub fn on_bytes(&mut self, now: Instant) {
        if self.probe.is_some_and(|asked| now.saturating_duration_since(asked.sent) > asked.deadline / 2) {
            // It came, but a little later it would have been a false alarm.
            self.on_false_alarm(now);
        } else if now.saturating_duration_since(self.floor_raised) >= FLOOR_KEPT {
            self.floor = (self.floor / 2).max(MIN_PROBE_DEADLINE);
            self.floor_raised = now;
        }
        self.probe = None;
        self.report = None;
        self.last_byte = now;
    }

    /// A Pong came: the oldest open Ping is measured.
    pub fn on_pong(&mut self, now: Instant) {
        if let Some(sent) = self.ping.take() {
            self.rtt.on_sample(now.saturating_duration_since(sent));
        }
    }

    /// The answer to the last report came: it is measured.
    pub fn on_report_answered(&mut self, now: Instant) {
        if let Some(sent) = self.report_sent.take() {
            self.rtt.on_sample(now.saturating_duration_since(sent));
        }
    }

    /// A round trip measured elsewhere: the handshake, or the kernel's estimate (`tcpi_rtt`).
    pub fn on_rtt_sample(&mut self, sample: Duration) {
        self.rtt.on_sample(sample);
    }

    /// Whether silence would be suspicious: some transfer has flushed credit that is not used and its sender is not blocked
    /// ([`crate::transfer::Receiver::expects_data`]); on an upload, packets are on their way unacked. A shell may also expect
    /// something while a fact that it flushed has no `fact_ack`. Repeating the same value changes nothing.
    pub fn set_expecting(&mut self, now: Instant, expecting: bool) {
        self.expecting_since = if expecting { self.expecting_since.or(Some(now)) } else { None };
    }

    /// The Ping is in the socket's queue, behind bytes that take `queued` to leave ([`super::rtt::drain_time`]).
    pub fn on_probe_sent(&mut self, now: Instant, queued: Duration) {
        if self.probe.is_none() && (self.probe_wanted || self.stall_at().is_some_and(|at| now >= at)) {
            self.probe = Some(Asked { sent: now, deadline: self.deadline(queued) });
        }
        self.probe_wanted = false;
        self.last_ping = now;
        self.ping = self.ping.or(Some(now));
    }

    /// The report is in the socket's queue; `jitter` (0 to 1) is chance, drawn by the caller.
    pub fn on_report_sent(&mut self, now: Instant, queued: Duration, jitter: f64) {
        let deadline = self.deadline(queued).max(REPORT_ANSWER_WITHIN);
        self.report = self.report.or(Some(Asked { sent: now, deadline }));
        self.report_sent = Some(now);
        self.report_due = now + jittered(self.report_interval, jitter);
    }

    /// The broker set another interval.
    pub fn set_report_interval(&mut self, now: Instant, interval: Duration) {
        self.report_interval = interval;
        self.report_due = self.report_due.min(now + interval);
    }

    /// Something changed here (printers, the local endpoint): the next report is due at once.
    pub fn report_now(&mut self, now: Instant) {
        self.report_due = self.report_due.min(now);
    }

    /// The network changed, but the route still begins at the socket's address: only ask.
    pub fn probe_now(&mut self) {
        self.probe_wanted = true;
    }

    /// A byte came after [`Action::Dead`], or nearly so: give more time in this session.
    pub fn on_false_alarm(&mut self, now: Instant) {
        self.floor = (self.floor * 2).min(MAX_PROBE_DEADLINE);
        self.floor_raised = now;
    }

    /// The measured path, for `report` and for windows.
    pub fn round_trip(&self) -> &RoundTrip {
        &self.rtt
    }

    /// What to do now.
    pub fn poll(&self, now: Instant) -> Action {
        let asked = [self.probe, self.report].into_iter().flatten();
        let answer_due = asked.map(|asked| asked.due()).min();
        if answer_due.is_some_and(|due| now >= due) {
            return Action::Dead;
        }
        if now >= self.report_due {
            return Action::SendReport;
        }
        let probe_due = self.probe_due(now);
        if probe_due.is_some_and(|due| now >= due) {
            return Action::SendProbe;
        }
        let until = [answer_due, probe_due].into_iter().flatten().fold(self.report_due, Instant::min);
        Action::Nothing { until }
    }

    /// When the stall timer fires.
    fn stall_at(&self) -> Option<Instant> {
        self.expecting_since.map(|since| since.max(self.last_byte) + STALL_AFTER)
    }

    /// When the next Ping is due: asked for, to decide a stall, or to measure.
    fn probe_due(&self, now: Instant) -> Option<Instant> {
        if self.probe_wanted {
            return Some(now);
        }
        let stall = self.stall_at()?;
        if self.probe.is_some() {
            return None;
        }
        let measure = self.ping.is_none().then(|| self.last_ping + MEASURE_EVERY);
        Some(measure.map_or(stall, |measure| measure.min(stall)))
    }

    /// How long the answer to a question asked now may take. A Ping that was still open when the last byte came says that the
    /// path takes at least so long.
    fn deadline(&self, queued: Duration) -> Duration {
        let mut rtt = self.rtt.clone();
        let open = self.ping.map(|sent| self.last_byte.saturating_duration_since(sent)).unwrap_or_default();
        if open > rtt.smoothed().unwrap_or_default() {
            rtt.on_sample(open);
        }
        rtt.deadline(queued).max(self.floor)
    }
}

/// A part of the interval, between [`REPORT_JITTER_FROM_PERCENT`] and [`REPORT_JITTER_TO_PERCENT`].
fn jittered(interval: Duration, jitter: f64) -> Duration {
    let span = f64::from(REPORT_JITTER_TO_PERCENT - REPORT_JITTER_FROM_PERCENT);
    let percent = f64::from(REPORT_JITTER_FROM_PERCENT) + span * jitter.clamp(0.0, 1.0);
    interval.mul_f64(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn with_a_transfer_open_a_dead_path_is_noticed_within_three_seconds() {
        let start = crate::session::any_instant();
        let mut live = Liveness::new(start, INTERVAL, 0.5);
        live.on_rtt_sample(ms(200));
        live.set_expecting(start, true);
        let mut now = start;
        loop {
            match live.poll(now) {
                Action::Nothing { until } => now = until,
                Action::SendProbe => live.on_probe_sent(now, Duration::ZERO),
                Action::SendReport => live.on_report_sent(now, Duration::ZERO, 0.5),
                Action::Dead => break,
            }
        }
        assert!(now - start <= ms(3000), "{:?}", now - start);
        live.on_bytes(now);
        assert!(live.poll(now) != Action::Dead, "any byte cancels");
    }

    #[test]
    fn an_idle_connection_reports_within_its_interval_and_dies_without_an_answer() {
        let start = crate::session::any_instant();
        for jitter in [0.0, 0.5, 1.0, 7.0] {
            let mut live = Liveness::new(start, INTERVAL, jitter);
            let Action::Nothing { until } = live.poll(start) else { panic!("nothing is due") };
            assert!(until - start >= ms(18_750) && until - start <= ms(23_750), "{:?}", until - start);
            assert_eq!(live.poll(until), Action::SendReport);
            live.on_report_sent(until, Duration::ZERO, jitter);
            let Action::Nothing { until: answer } = live.poll(until) else { panic!("just sent") };
            assert_eq!(answer, until + REPORT_ANSWER_WITHIN);
            assert_eq!(live.poll(answer), Action::Dead);
            live.on_bytes(answer);
            live.on_report_answered(answer);
            assert_eq!(live.round_trip().smoothed(), Some(REPORT_ANSWER_WITHIN));
            assert!(matches!(live.poll(answer), Action::Nothing { .. }));
        }
    }

    #[test]
    fn a_local_change_is_reported_or_probed_at_once() {
        let start = crate::session::any_instant();
        let mut live = Liveness::new(start, INTERVAL, 0.5);
        live.report_now(start);
        assert_eq!(live.poll(start), Action::SendReport);
        live.on_report_sent(start, Duration::ZERO, 0.5);
        live.on_bytes(start + ms(10));
        live.probe_now();
        assert_eq!(live.poll(start + ms(20)), Action::SendProbe);
        live.on_probe_sent(start + ms(20), Duration::ZERO);
        assert_eq!(live.poll(start + ms(20) + MIN_PROBE_DEADLINE), Action::Dead);
    }

    #[test]
    fn a_near_miss_doubles_the_floor_and_time_heals_it() {
        let start = crate::session::any_instant();
        let mut live = Liveness::new(start, INTERVAL, 0.5);
        live.probe_now();
        live.on_probe_sent(start, Duration::ZERO);
        live.on_bytes(start + ms(1400));
        assert_eq!(live.floor, ms(3000));
        assert_eq!(live.reconnected(start, INTERVAL, 0.5).floor, ms(3000));
        live.probe_now();
        live.on_probe_sent(start + ms(2000), Duration::ZERO);
        live.on_bytes(start + ms(2100));
        assert_eq!(live.floor, ms(3000), "a quick answer is no near miss");
        live.on_bytes(start + ms(1400) + FLOOR_KEPT);
        assert_eq!(live.floor, MIN_PROBE_DEADLINE);
    }

    #[test]
    fn a_path_is_measured_while_data_comes_and_left_alone_when_idle() {
        let start = crate::session::any_instant();
        let mut live = Liveness::new(start, INTERVAL, 0.5);
        live.set_expecting(start, true);
        live.on_bytes(start + MEASURE_EVERY);
        assert_eq!(live.poll(start + MEASURE_EVERY), Action::SendProbe);
        live.on_probe_sent(start + MEASURE_EVERY, Duration::ZERO);
        live.on_bytes(start + ms(1050));
        live.on_pong(start + ms(1050));
        assert_eq!(live.round_trip().smoothed(), Some(ms(50)));
        live.set_expecting(start + ms(1050), false);
        let Action::Nothing { until } = live.poll(start + ms(5000)) else { panic!("idle") };
        assert_eq!(until, live.report_due);
    }
}
