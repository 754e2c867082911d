//! Which jobs may be in the ledger, in memory: nearly every job that is offered is new, and then nothing need be read.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inkwire_protocol::ids::JobId;

use crate::limits::KNOWN_JOBS;

/// Jobs up to a certain one, and those after it one by one. Ids grow with time, so that a new job comes after all.
#[derive(Debug)]
pub(super) struct Known(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of jobs up to this one only the ledger can tell.
    up_to: Option<JobId>,
    since: HashSet<JobId>,
}

impl Known {
    /// The ledger has jobs up to this one.
    pub(super) fn after(newest: Option<JobId>) -> Self {
        Self(Mutex::new(Inner { up_to: newest, since: HashSet::new() }))
    }

    /// The job will be in the ledger; called before it is.
    pub(super) fn note(&self, job: JobId) {
        let mut inner = self.lock();
        inner.since.insert(job);
        if inner.since.len() > KNOWN_JOBS {
            inner.up_to = std::mem::take(&mut inner.since).into_iter().max().max(inner.up_to);
        }
    }

    /// Whether the ledger cannot know this job.
    pub(super) fn is_new(&self, job: JobId) -> bool {
        let inner = self.lock();
        Some(job) > inner.up_to && !inner.since.contains(&job)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(n: u128) -> JobId {
        JobId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn only_what_cannot_be_in_the_ledger_is_new() {
        let known = Known::after(Some(job(10)));
        assert!(!known.is_new(job(10)) && !known.is_new(job(3)) && known.is_new(job(11)));
        known.note(job(12));
        assert!(known.is_new(job(11)) && !known.is_new(job(12)) && known.is_new(job(13)));
        assert!(Known::after(None).is_new(job(0)));
    }

    #[test]
    fn beyond_the_bound_the_ledger_is_asked_again() {
        let known = Known::after(None);
        for n in 1..=KNOWN_JOBS as u128 + 1 {
            known.note(job(2 * n));
        }
        let newest = 2 * (KNOWN_JOBS as u128 + 1);
        assert!(!known.is_new(job(3)) && !known.is_new(job(newest)) && known.is_new(job(newest + 1)));
        assert!(known.lock().since.is_empty());
    }
}
