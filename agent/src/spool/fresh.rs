//! The newest facts, in memory: each is told right after its commit, and need not be read from the ledger for that.

use std::collections::VecDeque;

use inkwire_protocol::ids::FactSeq;
use inkwire_protocol::message::FactMessage;

use super::change::JobKey;
use crate::limits::OUTBOX_PAGE;

/// What one transaction did to the facts.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Facts that it wrote, with their ids.
    pub(super) facts: Vec<(i64, FactMessage)>,
    /// Facts that the broker has acknowledged.
    pub(super) acked: Vec<(JobKey, FactSeq)>,
    /// Facts from before were changed: only the ledger knows which are to be told now.
    pub(super) changed: bool,
}

impl Told {
    /// How far it is.
    pub(super) const fn mark(&self) -> (usize, usize) {
        (self.facts.len(), self.acked.len())
    }

    /// What was noted since is not done.
    pub(super) fn back_to(&mut self, (facts, acked): (usize, usize)) {
        self.facts.truncate(facts);
        self.acked.truncate(acked);
    }
}

/// All facts after a certain one, unless the broker has acknowledged them.
#[derive(Debug)]
pub(super) struct Fresh {
    after: i64,
    facts: VecDeque<(i64, FactMessage)>,
}

impl Fresh {
    /// Nothing is known yet of facts up to this one.
    pub(super) const fn new(after: i64) -> Self {
        Self { after, facts: VecDeque::new() }
    }

    /// A transaction is committed; `newest` is the id of the last fact that there is.
    pub(super) fn commit(&mut self, told: Told, newest: i64) {
        if told.changed {
            *self = Self::new(newest);
            return;
        }
        self.facts.extend(told.facts);
        for (key, seq) in told.acked {
            self.facts.retain(|(_, fact)| (JobKey::new(fact.job, fact.attempt), fact.fact_seq) != (key, seq));
        }
        while self.facts.len() > OUTBOX_PAGE {
            self.drop_first();
        }
    }

    /// The facts after this one; none where only the ledger knows them.
    pub(super) fn after(&mut self, after: i64) -> Option<Vec<(i64, FactMessage)>> {
        if after < self.after {
            return None;
        }
        while self.facts.front().is_some_and(|(id, _)| *id <= after) {
            self.drop_first();
        }
        Some(self.facts.iter().cloned().collect())
    }

    fn drop_first(&mut self) {
        if let Some((id, _)) = self.facts.pop_front() {
            self.after = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use inkwire_protocol::ids::{Attempt, FactSeq, JobId};
    use inkwire_protocol::message::Fact;

    use super::*;

    fn fact(id: i64) -> (i64, FactMessage) {
        let (job, attempt) = (JobId::from_uuid(uuid::Uuid::nil()), Attempt(1));
        let fact_seq = FactSeq(u32::try_from(id).unwrap());
        (id, FactMessage { job, attempt, fact_seq, ledger_seq: 1, at_ms: 1, fact: Fact::Spooled })
    }

    fn ids(fresh: &mut Fresh, after: i64) -> Option<Vec<i64>> {
        fresh.after(after).map(|facts| facts.into_iter().map(|(id, _)| id).collect())
    }

    fn told(ids: std::ops::RangeInclusive<i64>) -> Told {
        Told { facts: ids.map(fact).collect(), ..Told::default() }
    }

    #[test]
    fn facts_are_given_until_later_ones_are_asked_for() {
        let mut fresh = Fresh::new(4);
        fresh.commit(told(5..=7), 7);
        assert_eq!(ids(&mut fresh, 3), None, "4 may be unacknowledged");
        assert_eq!(ids(&mut fresh, 4), Some(vec![5, 6, 7]));
        let nil = JobKey::new(JobId::from_uuid(uuid::Uuid::nil()), Attempt(1));
        fresh.commit(Told { acked: vec![(nil, FactSeq(6))], ..Told::default() }, 7);
        assert_eq!(ids(&mut fresh, 4), Some(vec![5, 7]));
        assert_eq!(ids(&mut fresh, 6), Some(vec![7]));
        assert_eq!(ids(&mut fresh, 4), None);
        assert_eq!(ids(&mut fresh, 7), Some(vec![]));
    }

    #[test]
    fn what_was_changed_or_is_too_much_is_read_from_the_ledger() {
        let mut fresh = Fresh::new(0);
        fresh.commit(told(1..=3), 3);
        fresh.commit(Told { facts: vec![fact(4)], acked: vec![], changed: true }, 4);
        assert_eq!((ids(&mut fresh, 0), ids(&mut fresh, 4)), (None, Some(vec![])));
        fresh.commit(told(5..=5 + OUTBOX_PAGE as i64), 5 + OUTBOX_PAGE as i64);
        assert_eq!(ids(&mut fresh, 4), None);
        assert_eq!(ids(&mut fresh, 5).map(|ids| ids.len()), Some(OUTBOX_PAGE));
    }
}
