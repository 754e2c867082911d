//! When to look at the route to the broker after a notice of change, and what a look means. Pure.
//!
//! Systems tell of an address before the route over it is there: one look at the notice itself would find no way at all and
//! leave the rest to the liveness, which takes seconds.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Looks after a notice: at once, then where routes come back by experience. All of them within half a second.
const AFTER: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(350),
];
/// A connection whose own address is gone cannot live: its next route is waited for, with looks this far apart.
const WHILE_GONE: Duration = Duration::from_millis(500);

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Connections to the broker begin at this address now.
    From(IpAddr),
    /// There is no way to the broker. `gone`: nor has any interface the connection's own address.
    NoRoute { gone: bool },
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Then {
    /// Dial anew: this PC is elsewhere.
    Redial(IpAddr),
    /// Ask the other end for a sign of life.
    Probe,
    /// Nothing yet.
    Wait,
}

/// The looks of one session.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    /// The connection's own address.
    own: IpAddr,
    /// The last notice, and how many looks followed it.
    notice: Option<(Instant, usize)>,
    due: Option<Instant>,
    /// The other end was asked since the notice.
    probed: bool,
}

impl Looks {
    /// Of a connection that begins at `own`; there was no notice yet.
    pub(super) const fn new(own: IpAddr) -> Self {
        Self { own, notice: None, due: None, probed: false }
    }

    /// An address came or went.
    pub(super) const fn on_notice(&mut self, now: Instant) {
        self.notice = Some((now, 0));
        self.due = Some(now);
        self.probed = false;
    }

    /// When to look next.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A look that was due.
    pub(super) fn on_look(&mut self, now: Instant, found: Found) -> Then {
        let Some((noticed, looks)) = self.notice else { return Then::Wait };
        self.notice = Some((noticed, looks + 1));
        // Looks that are overdue together are one.
        self.due = AFTER.iter().skip(looks + 1).map(|after| noticed + *after).find(|at| *at > now);
        let last = self.due.is_none();
        match found {
            Found::From(address) if address != self.own => {
                self.due = None;
                Then::Redial(address)
            }
            Found::From(_) => self.probe(),
            Found::NoRoute { gone } => {
                if last && gone {
                    self.due = Some(now + WHILE_GONE);
                }
                if last { self.probe() } else { Then::Wait }
            }
        }
    }

    /// Once a notice.
    const fn probe(&mut self) -> Then {
        if std::mem::replace(&mut self.probed, true) { Then::Wait } else { Then::Probe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
    const NEW: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));
    const NONE: Found = Found::NoRoute { gone: false };

    /// Looks when they are due; returns when something was to be done, in milliseconds after the notice, and what.
    fn play(found: impl Fn(u64) -> Found) -> Vec<(u64, Then)> {
        let start = Instant::now();
        let mut looks = Looks::new(OWN);
        assert_eq!(looks.due(), None);
        looks.on_notice(start);
        let mut done = Vec::new();
        while let Some(due) = looks.due().filter(|due| *due < start + Duration::from_secs(5)) {
            let ms = u64::try_from((due - start).as_millis()).unwrap();
            let then = looks.on_look(due, found(ms));
            if then != Then::Wait {
                done.push((ms, then));
            }
        }
        done
    }

    #[test]
    fn a_route_that_comes_after_its_address_is_seen_within_half_a_second() {
        for back in [0, 3, 51, 200, 349] {
            let done = play(|ms| if ms < back { NONE } else { Found::From(NEW) });
            assert!(
                matches!(done[..], [(ms, Then::Redial(NEW))] if ms >= back && ms <= 350),
                "{back}: {done:?}"
            );
        }
    }

    #[test]
    fn the_same_address_is_asked_once_and_looked_at_again() {
        assert_eq!(play(|_| Found::From(OWN)), [(0, Then::Probe)]);
        let late = play(|ms| Found::From(if ms < 100 { OWN } else { NEW }));
        assert_eq!(late, [(0, Then::Probe), (150, Then::Redial(NEW))]);
    }

    #[test]
    fn without_a_route_the_last_look_asks_and_a_gone_address_waits_for_the_next_route() {
        assert_eq!(play(|_| NONE), [(350, Then::Probe)]);
        let gone = play(|ms| if ms < 2000 { Found::NoRoute { gone: true } } else { Found::From(NEW) });
        assert_eq!(gone, [(350, Then::Probe), (2350, Then::Redial(NEW))]);
    }

    #[test]
    fn a_new_notice_begins_anew_and_late_looks_are_one() {
        let start = Instant::now();
        let mut looks = Looks::new(OWN);
        looks.on_notice(start);
        let late = start + Duration::from_millis(160);
        assert_eq!(looks.on_look(late, NONE), Then::Wait);
        assert_eq!(looks.due(), Some(start + Duration::from_millis(350)));
        looks.on_notice(late);
        assert_eq!(looks.due(), Some(late));
    }
}
