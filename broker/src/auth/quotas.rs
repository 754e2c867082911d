//! What an account may use: the smaller of the broker's bound and its own. Pure.

use inkwire_protocol::app::{AccountLimits, LimitsSet, Problem, ProblemKind};

use crate::store::{Bound, UsageRow, jobs_on};

/// What holds where the broker allows `broker` and the account itself `own`.
pub(crate) fn effective(broker: &AccountLimits, own: &AccountLimits) -> AccountLimits {
    AccountLimits {
        requests_per_s: smaller(broker.requests_per_s, own.requests_per_s),
        request_burst: smaller(broker.request_burst, own.request_burst),
        connections: smaller(broker.connections, own.connections),
        jobs_per_day: smaller(broker.jobs_per_day, own.jobs_per_day),
        stored_bytes: smaller(broker.stored_bytes, own.stored_bytes),
        keys: smaller(broker.keys, own.keys),
        users: smaller(broker.users, own.users),
        webhooks: smaller(broker.webhooks, own.webhooks),
    }
}

fn smaller<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The account's own limits after a change; refuses what is above the broker's, and rates at which nobody could undo it.
pub(crate) fn changed(
    broker: &AccountLimits,
    own: &AccountLimits,
    set: &LimitsSet,
) -> Result<AccountLimits, Problem> {
    Ok(AccountLimits {
        requests_per_s: one(
            "requests_per_s",
            1,
            broker.requests_per_s,
            own.requests_per_s,
            set.requests_per_s,
        )?,
        request_burst: one("request_burst", 1, broker.request_burst, own.request_burst, set.request_burst)?,
        connections: one("connections", 1, broker.connections, own.connections, set.connections)?,
        jobs_per_day: one("jobs_per_day", 0, broker.jobs_per_day, own.jobs_per_day, set.jobs_per_day)?,
        stored_bytes: one("stored_bytes", 0, broker.stored_bytes, own.stored_bytes, set.stored_bytes)?,
        keys: one("keys", 0, broker.keys, own.keys, set.keys)?,
        users: one("users", 0, broker.users, own.users, set.users)?,
        webhooks: one("webhooks", 0, broker.webhooks, own.webhooks, set.webhooks)?,
    })
}

fn one<T: Ord + Copy + std::fmt::Display>(
    name: &str,
    least: T,
    broker: Option<T>,
    own: Option<T>,
    set: Option<Option<T>>,
) -> Result<Option<T>, Problem> {
    let wrong = |detail: String| ProblemKind::InvalidParams.because(detail).at(format!("/{name}"));
    match set {
        None => Ok(own),
        Some(None) => Ok(None),
        Some(Some(value)) if value < least => Err(wrong(format!("{name} must be at least {least}"))),
        Some(Some(value)) => match broker.filter(|&most| value > most) {
            Some(most) => Err(wrong(format!("the broker allows at most {most}"))),
            None => Ok(Some(value)),
        },
    }
}

/// What the commit of one more job must hold.
pub(crate) fn of_jobs(limits: &AccountLimits, now_ms: u64) -> impl Iterator<Item = Bound> {
    let jobs = limits.jobs_per_day.map(|most| Bound::JobsToday { most, now_ms });
    jobs.into_iter().chain(limits.stored_bytes.map(Bound::StoredBytes))
}

/// Whether one more job of `bytes` would do, so that nobody sends a document in vain; the commit decides.
pub(crate) fn admit_job(
    limits: &AccountLimits,
    usage: &UsageRow,
    bytes: u64,
    now_ms: u64,
) -> Result<(), Problem> {
    let count = |bound| match bound {
        Bound::JobsToday { .. } => jobs_today(usage, now_ms) + 1,
        Bound::StoredBytes(_) => usage.stored_bytes.saturating_add(bytes),
        Bound::Users(_) | Bound::Keys { .. } | Bound::Enrolments { .. } => 0,
    };
    match of_jobs(limits, now_ms).find(|bound| bound.is_exceeded_by(count(*bound))) {
        Some(bound) => Err(bound.problem()),
        None => Ok(()),
    }
}

/// Jobs that were created on the day of `now_ms`.
pub(crate) fn jobs_today(usage: &UsageRow, now_ms: u64) -> u64 {
    jobs_on(now_ms, usage.day, usage.jobs_today)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn limits(jobs_per_day: Option<u64>, stored_bytes: Option<u64>) -> AccountLimits {
        AccountLimits { jobs_per_day, stored_bytes, ..AccountLimits::default() }
    }

    #[test]
    fn the_smaller_bound_holds_and_only_smaller_ones_are_taken() {
        let broker = limits(Some(100), None);
        let own = limits(Some(10), Some(5));
        assert_eq!(effective(&broker, &own), own);
        assert_eq!(effective(&broker, &limits(None, None)), broker);
        let set = |jobs_per_day| LimitsSet { jobs_per_day, ..LimitsSet::default() };
        assert_eq!(changed(&broker, &own, &set(Some(Some(100)))).unwrap().jobs_per_day, Some(100));
        assert_eq!(changed(&broker, &own, &set(Some(None))).unwrap().jobs_per_day, None);
        assert_eq!(changed(&broker, &own, &set(None)).unwrap(), own);
        let problem = changed(&broker, &own, &set(Some(Some(101)))).unwrap_err();
        assert_eq!(problem.pointer.as_deref(), Some("/jobs_per_day"));
        let none = LimitsSet { requests_per_s: Some(Some(0)), ..LimitsSet::default() };
        assert!(changed(&broker, &own, &none).is_err());
    }

    #[test]
    fn quotas_are_by_day_and_by_bytes() {
        let usage = UsageRow { stored_bytes: 90, day: 2, jobs_today: 7, ..UsageRow::default() };
        let today = 2 * DAY_MS + 1000;
        assert!(admit_job(&limits(Some(8), Some(100)), &usage, 10, today).is_ok());
        let problem = admit_job(&limits(Some(7), None), &usage, 1, today).unwrap_err();
        assert_eq!(problem.retry_after_s, Some(24 * 3600 - 1));
        assert!(admit_job(&limits(Some(7), None), &usage, 1, today + DAY_MS).is_ok());
        assert!(admit_job(&limits(None, Some(100)), &usage, 11, today).is_err());
    }
}
