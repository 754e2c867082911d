//! What an account may use: the smaller of the broker's bound and its own. Pure.

use inkwire_protocol::app::{AccountLimits, LimitsSet, Problem, ProblemKind};

use crate::store::UsageRow;

/// A day in milliseconds: jobs are counted by days of UTC.
const DAY_MS: u64 = 24 * 3600 * 1000;

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

/// Whether one more job of `bytes` may come in; says which quota is used up and what would help.
pub(crate) fn admit_job(
    limits: &AccountLimits,
    usage: &UsageRow,
    bytes: u64,
    now_ms: u64,
) -> Result<(), Problem> {
    if let Some(most) = limits.jobs_per_day.filter(|&most| jobs_today(usage, now_ms) >= most) {
        let detail =
            format!("the account has submitted its {most} jobs of today (UTC): wait, or raise jobs_per_day");
        let mut problem = ProblemKind::QuotaExceeded.because(detail);
        problem.retry_after_s = Some((DAY_MS - now_ms % DAY_MS).div_ceil(1000));
        return Err(problem);
    }
    if let Some(most) = limits.stored_bytes.filter(|&most| usage.stored_bytes.saturating_add(bytes) > most) {
        let detail = format!(
            "the account keeps {} of at most {most} bytes of documents: documents leave some time after their job has \
             ended; wait, or raise stored_bytes",
            usage.stored_bytes
        );
        return Err(ProblemKind::QuotaExceeded.because(detail));
    }
    Ok(())
}

/// Jobs that were created on the day of `now_ms`.
pub(crate) fn jobs_today(usage: &UsageRow, now_ms: u64) -> u64 {
    if usage.day == now_ms / DAY_MS { usage.jobs_today } else { 0 }
}

/// Whether there may be one more of `what`, of which there are `have`.
pub(crate) fn admit_one(what: &str, have: u32, most: Option<u32>) -> Result<(), Problem> {
    match most.filter(|&most| have >= most) {
        Some(most) => {
            let detail = format!(
                "the account has its {most} {what}: remove one that is not needed, or raise the limit"
            );
            Err(ProblemKind::QuotaExceeded.because(detail))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(admit_one("keys", 2, Some(2)).is_err() && admit_one("keys", 1, Some(2)).is_ok());
    }
}
