//! How often connections ended, by cause, and requests were refused, by problem. An operator asks for them by `inkwire admin status`.

use std::sync::atomic::{AtomicU64, Ordering};

use inkwire_protocol::app::ProblemKind;
use inkwire_protocol::close::CloseCode;

use super::traffic::Leg;

/// Counts of closes by code, and of refused requests by problem.
#[derive(Debug)]
pub(crate) struct Counters {
    closed: Vec<(CloseCode, AtomicU64)>,
    other: AtomicU64,
    problems: Vec<(ProblemKind, AtomicU64)>,
    /// Dials refused before they were anybody's.
    pub(crate) dials_refused: AtomicU64,
    /// Connections that ended before or within the TLS handshake.
    pub(crate) handshakes_failed: AtomicU64,
    /// Connections refused because their address had too many.
    pub(crate) addresses_full: AtomicU64,
    /// Facts that contradict what is known of their job.
    facts_contradictory: AtomicU64,
    /// Facts of jobs that the store does not know.
    facts_unknown: AtomicU64,
    /// Agents that claimed more acknowledged facts than they have a receipt for.
    claims_unproven: AtomicU64,
    /// Sessions that agents began.
    pub(crate) sessions_begun: AtomicU64,
    /// Sessions that began at another endpoint than the one before.
    pub(crate) endpoint_changes: AtomicU64,
    /// From the broker to agents.
    pub(crate) delivery: Leg,
    /// WebSockets of apps that are open.
    pub(crate) apps: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            closed: CloseCode::ALL.iter().map(|&code| (code, AtomicU64::new(0))).collect(),
            other: AtomicU64::new(0),
            problems: ProblemKind::ALL.iter().map(|&kind| (kind, AtomicU64::new(0))).collect(),
            dials_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            addresses_full: AtomicU64::new(0),
            facts_contradictory: AtomicU64::new(0),
            facts_unknown: AtomicU64::new(0),
            claims_unproven: AtomicU64::new(0),
            sessions_begun: AtomicU64::new(0),
            endpoint_changes: AtomicU64::new(0),
            delivery: Leg::default(),
            apps: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// One more connection was closed with this code.
    pub(crate) fn closed(&self, code: CloseCode) {
        let counter =
            self.closed.iter().find(|(have, _)| *have == code).map_or(&self.other, |(_, count)| count);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// One more request of an app was refused with this problem.
    pub(crate) fn refused(&self, kind: ProblemKind) {
        if let Some((_, count)) = self.problems.iter().find(|(have, _)| *have == kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more fact contradicted what is known of its job.
    pub(crate) fn fact_contradicts(&self) {
        self.facts_contradictory.fetch_add(1, Ordering::Relaxed);
    }

    /// One more fact was of a job that the store does not know (any more).
    pub(crate) fn fact_of_unknown_job(&self) {
        self.facts_unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// One more agent claimed more acknowledged facts than it has a receipt for.
    pub(crate) fn claim_unproven(&self) {
        self.claims_unproven.fetch_add(1, Ordering::Relaxed);
    }

    /// Every problem that has occurred, by keyword.
    pub(crate) fn problems(&self) -> Vec<(&'static str, u64)> {
        self.every_problem().filter(|&(_, count)| count > 0).collect()
    }

    /// Every kind of problem, by keyword.
    pub(crate) fn every_problem(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.problems.iter().map(|(kind, count)| (kind.keyword(), count.load(Ordering::Relaxed)))
    }

    /// Every cause of a close, by name.
    pub(crate) fn every_close(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let closed = self.closed.iter().map(|(code, count)| (code.name(), count));
        closed.chain([("other", &self.other)]).map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Every cause that has occurred, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        let closed = self.closed.iter().map(|(code, count)| (code.name(), count));
        let rest = [
            ("other", &self.other),
            ("dial-refused", &self.dials_refused),
            ("handshake-failed", &self.handshakes_failed),
            ("address-full", &self.addresses_full),
        ];
        closed
            .chain(rest)
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .chain(self.suspicions())
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    /// What agents said that does not fit, by kind.
    pub(crate) fn suspicions(&self) -> [(&'static str, u64); 3] {
        [
            ("fact-contradictory", self.facts_contradictory.load(Ordering::Relaxed)),
            ("fact-of-unknown-job", self.facts_unknown.load(Ordering::Relaxed)),
            ("claim-unproven", self.claims_unproven.load(Ordering::Relaxed)),
        ]
    }
}

/// Whether the peer made a mistake, which is worth a line in the log.
pub(crate) const fn is_violation(code: CloseCode) -> bool {
    matches!(code.code(), 4003..=4004 | 4100..=4199 | 4500 | 4502 | 4503)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_counted_by_name() {
        let counters = Counters::default();
        counters.closed(CloseCode::TooLarge);
        counters.closed(CloseCode::TooLarge);
        counters.closed(CloseCode::Other(1006));
        assert_eq!(counters.all(), [("too-large", 2), ("other", 1)]);
        counters.fact_contradicts();
        counters.fact_of_unknown_job();
        assert_eq!(counters.all()[2..], [("fact-contradictory", 1), ("fact-of-unknown-job", 1)]);
        counters.refused(ProblemKind::NotFound);
        assert_eq!(counters.problems(), [("not-found", 1)]);
        assert!(is_violation(CloseCode::TooLarge) && !is_violation(CloseCode::Superseded));
    }
}
