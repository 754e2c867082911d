//! When to dial again.
//!
//! With work to do (open transfers, unacknowledged facts) a new attempt begins every second beside those that hang, for a minute;
//! then, and without work, after a random wait. What the broker asks for outranks both. One rule stands above all: never two
//! attempts within [`URGENT_DIAL_EVERY`].

use std::time::{Duration, Instant};

use crate::close::{AfterClose, CloseCode};
use crate::limits::{
    FIRST_DIAL_JITTER, GOOD_SESSION_AFTER, HOURLY, MAX_DIAL_JITTER, MIN_DIAL_JITTER, URGENT_DIAL_EVERY,
    URGENT_DIAL_FOR,
};
use crate::message::DialError;

/// When to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum When {
    /// Begin an attempt and call [`Dialler::on_attempt`].
    Now,
    /// Ask again at this instant, or when urgency changes.
    At(Instant),
    /// Nothing to do until something happens: a session is live, or an attempt hangs that must end first.
    Wait,
}

/// How a session was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// We found the path dead or our address changed: nobody else dials now, so the first attempt begins at once.
    PathDead,
    /// The other end or something between broke the connection, perhaps for thousands of agents at once.
    Broken,
    /// It was closed with a code; `retry_after` is what `drain` said.
    Closed {
        /// The code.
        code: CloseCode,
        /// When the broker wants to be dialled again.
        retry_after: Option<Duration>,
    },
}

/// How an attempt ended without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or one that is not the broker's.
    Unreachable,
    /// The broker answered with a refusal; `retry_after` is the header of that name.
    Refused {
        /// Its keyword.
        error: DialError,
        /// When the broker wants to be dialled again.
        retry_after: Option<Duration>,
    },
    /// The broker answered with another HTTP error, such as 429 or 503.
    Unavailable {
        /// When the broker wants to be dialled again.
        retry_after: Option<Duration>,
    },
}

impl DialError {
    /// What a dialler does after this refusal.
    pub const fn after(self) -> AfterClose {
        match self {
            // Cured by the answer itself: the clock is corrected, the number grows with each dial.
            Self::Clock | Self::Replayed | Self::Busy => AfterClose::Reconnect,
            Self::Unauthenticated | Self::Revoked | Self::Clone => AfterClose::Hourly,
        }
    }
}

/// The dial policy of one agent or app.
#[derive(Debug, Clone)]
pub struct Dialler {
    live_since: Option<Instant>,
    /// Attempts that have neither failed nor become the session.
    hanging: u32,
    last_attempt: Option<Instant>,
    /// When the fast phase of urgent dialling began.
    lost_at: Instant,
    /// Waits are counted from here.
    wait_from: Instant,
    /// The next attempt needs no wait.
    at_once: bool,
    /// The random part of the next wait, drawn once.
    drawn: Option<f64>,
    /// Not before this, whatever the urgency; with room for a random part.
    asked: Option<(Instant, Duration)>,
}

impl Dialler {
    /// Before the first dial, which begins at once.
    pub fn new(now: Instant) -> Self {
        Self {
            live_since: None,
            hanging: 0,
            last_attempt: None,
            lost_at: now,
            wait_from: now,
            at_once: true,
            drawn: None,
            asked: None,
        }
    }

    /// An attempt begins.
    pub fn on_attempt(&mut self, now: Instant) {
        self.hanging = self.hanging.saturating_add(1);
        self.last_attempt = Some(now);
        self.wait_from = now;
        self.at_once = false;
        self.drawn = None;
        self.asked = None;
    }

    /// `welcome` came on one attempt; the caller gives up the others.
    pub fn on_connected(&mut self, now: Instant) {
        self.live_since = Some(now);
        self.hanging = 0;
        self.asked = None;
    }

    /// One attempt ended without a session.
    pub fn on_failure(&mut self, now: Instant, failure: Failure) {
        self.hanging = self.hanging.saturating_sub(1);
        self.wait_from = now;
        let (after, retry_after) = match failure {
            Failure::Unreachable => (AfterClose::Reconnect, None),
            Failure::Unavailable { retry_after } => (AfterClose::Reconnect, retry_after),
            Failure::Refused { error, retry_after } => {
                self.at_once = matches!(error, DialError::Clock | DialError::Replayed);
                (error.after(), retry_after)
            }
        };
        self.ask(now, after, retry_after);
    }

    /// The session ended.
    pub fn on_lost(&mut self, now: Instant, lost: Lost) {
        if self
            .live_since
            .take()
            .is_some_and(|since| now.saturating_duration_since(since) >= GOOD_SESSION_AFTER)
        {
            self.lost_at = now;
        }
        self.wait_from = now;
        self.drawn = None;
        self.at_once = lost == Lost::PathDead;
        if let Lost::Closed { code, retry_after } = lost {
            self.ask(now, code.after(), retry_after);
        }
    }

    /// Something new came up that makes dialling worth while: the network changed, or there is new work. A fast phase begins.
    pub fn on_hope(&mut self, now: Instant) {
        self.lost_at = now;
        self.at_once = true;
    }

    /// When to dial. `random` (0 to 1) is chance, drawn by the caller; only the first value of each wait counts.
    pub fn next(&mut self, now: Instant, urgent: bool, random: f64) -> When {
        if self.live_since.is_some() {
            return When::Wait;
        }
        let drawn = *self.drawn.get_or_insert(random.clamp(0.0, 1.0));
        let spaced = self.last_attempt.map(|last| last + URGENT_DIAL_EVERY);
        let due = match self.asked {
            Some((not_before, spread)) => not_before + spread.mul_f64(drawn),
            None if self.at_once => now,
            None if urgent && now < self.lost_at + URGENT_DIAL_FOR => now,
            // Beside a hanging attempt there is no other now; its failure or deadline brings the next.
            None if self.hanging > 0 => return When::Wait,
            None => {
                let most =
                    if now < self.lost_at + URGENT_DIAL_FOR { FIRST_DIAL_JITTER } else { MAX_DIAL_JITTER };
                self.wait_from + MIN_DIAL_JITTER + (most - MIN_DIAL_JITTER).mul_f64(drawn)
            }
        };
        let due = spaced.map_or(due, |spaced| spaced.max(due));
        if now >= due { When::Now } else { When::At(due) }
    }

    /// The broker's wish: not before so long, with a tenth of it as random room, so that many do not come back together.
    fn ask(&mut self, now: Instant, after: AfterClose, retry_after: Option<Duration>) {
        let wait = match (retry_after, after) {
            (Some(wait), _) => wait,
            (None, AfterClose::Reconnect) => return,
            (None, AfterClose::ReconnectAfter(wait)) => wait,
            (None, AfterClose::Hourly) => HOURLY,
        };
        self.asked = Some((now + wait, (wait / 10).max(Duration::from_secs(1))));
        self.at_once = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The seconds after `from` at which attempts begin, when every attempt hangs.
    fn attempts(dialler: &mut Dialler, from: Instant, urgent: bool, random: f64, for_s: u64) -> Vec<u64> {
        let mut now = from;
        let mut begun = Vec::new();
        while now < from + s(for_s) {
            match dialler.next(now, urgent, random) {
                When::Now => {
                    begun.push((now - from).as_secs());
                    dialler.on_attempt(now);
                }
                When::At(at) => now = at,
                When::Wait => break,
            }
        }
        begun
    }

    fn live(start: Instant) -> Dialler {
        let mut dialler = Dialler::new(start);
        assert_eq!(dialler.next(start, false, 0.5), When::Now);
        dialler.on_attempt(start);
        dialler.on_connected(start);
        assert_eq!(dialler.next(start + s(1), true, 0.5), When::Wait);
        dialler
    }

    #[test]
    fn without_work_waits_are_short_for_a_minute_and_longer_after_it() {
        let start = crate::session::any_instant();
        let mut dialler = live(start);
        dialler.on_lost(start + s(60), Lost::Broken);
        assert_eq!(dialler.next(start + s(60), false, 1.0), When::At(start + s(70)));
        dialler.on_attempt(start + s(70));
        dialler.on_failure(start + s(121), Failure::Unreachable);
        assert_eq!(dialler.next(start + s(121), false, 1.0), When::At(start + s(151)));
    }

    #[test]
    fn urgent_attempts_begin_every_second_beside_hanging_ones_for_a_minute() {
        let start = crate::session::any_instant();
        let mut dialler = live(start);
        let lost = start + s(100);
        dialler.on_lost(lost, Lost::PathDead);
        assert_eq!(attempts(&mut dialler, lost, true, 0.5, 300), (0..60).collect::<Vec<_>>());
        let late = lost + s(70);
        (0..60).for_each(|_| dialler.on_failure(late, Failure::Unreachable));
        assert_eq!(dialler.next(late, true, 0.5), When::At(late + Duration::from_millis(15_500)));
    }

    #[test]
    fn an_idle_agent_comes_back_at_once_when_its_own_path_died_and_spread_when_the_broker_went() {
        let start = crate::session::any_instant();
        let mut dialler = live(start);
        dialler.on_lost(start + s(100), Lost::PathDead);
        assert_eq!(dialler.next(start + s(100), false, 0.5), When::Now);
        let mut dialler = live(start);
        dialler.on_lost(start + s(100), Lost::Broken);
        assert_eq!(dialler.next(start + s(100), false, 0.0), When::At(start + s(101)));
        assert_eq!(dialler.next(start + s(100), false, 1.0), When::At(start + s(101)), "drawn once");
        assert_eq!(dialler.next(start + s(100), true, 1.0), When::Now, "work came up");
    }

    #[test]
    fn what_the_broker_asks_outranks_urgency() {
        let start = crate::session::any_instant();
        let at = start + s(100);
        for (code, retry_after, earliest, latest) in [
            (CloseCode::Draining, Some(s(20)), 20, 22),
            (CloseCode::ProtocolViolation, None, 5, 6),
            (CloseCode::Clone, None, 3600, 3960),
        ] {
            for random in [0.0, 1.0] {
                let mut dialler = live(start);
                dialler.on_lost(at, Lost::Closed { code, retry_after });
                let When::At(when) = dialler.next(at, true, random) else { panic!("{code:?} at once") };
                assert!(when >= at + s(earliest) && when <= at + s(latest), "{code:?}: {:?}", when - at);
            }
        }
    }

    #[test]
    fn a_refusal_that_cures_itself_is_followed_at_once_but_never_in_a_tight_loop() {
        let start = crate::session::any_instant();
        let mut dialler = Dialler::new(start);
        dialler.on_attempt(start);
        dialler.on_failure(start, Failure::Refused { error: DialError::Clock, retry_after: None });
        assert_eq!(dialler.next(start, false, 1.0), When::At(start + URGENT_DIAL_EVERY));
        dialler.on_attempt(start + s(1));
        dialler.on_failure(start + s(1), Failure::Refused { error: DialError::Revoked, retry_after: None });
        assert_eq!(dialler.next(start + s(1), true, 0.0), When::At(start + s(1) + HOURLY));
    }

    #[test]
    fn a_connection_that_breaks_at_once_does_not_renew_the_fast_minute() {
        let start = crate::session::any_instant();
        let mut dialler = live(start);
        let lost = start + s(20);
        dialler.on_lost(lost, Lost::Broken);
        for second in (0..100).step_by(2) {
            let now = lost + s(second);
            let fast = dialler.next(now, true, 0.9) == When::Now;
            assert_eq!(fast, second < 60, "after {second} s");
            dialler.on_attempt(now);
            dialler.on_connected(now);
            dialler.on_lost(now + Duration::from_millis(10), Lost::Broken);
        }
    }
}
