//! Quotas: checked within the very commit that adds to what they bound, so that no two callers at once go beyond one. Pure.

use inkwire_protocol::app::{Problem, ProblemKind};

/// A day in milliseconds: jobs are counted by days of UTC.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// What is counted of an account, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Users(u32),
    /// Those that were not revoked and have not expired.
    Keys {
        most: u32,
        now_ms: u64,
    },
    /// Enrolment tokens that were neither used nor have expired.
    Enrolments {
        most: u32,
        now_ms: u64,
    },
    /// Jobs that were made on the day of `now_ms`.
    JobsToday {
        most: u64,
        now_ms: u64,
    },
    /// Bytes of documents that are kept, and of those that are announced and on their way.
    StoredBytes(u64),
}

impl Bound {
    /// Whether so many are too many.
    pub(crate) fn is_exceeded_by(self, count: u64) -> bool {
        match self {
            Self::Users(most) | Self::Keys { most, .. } | Self::Enrolments { most, .. } => {
                count > u64::from(most)
            }
            Self::JobsToday { most, .. } | Self::StoredBytes(most) => count > most,
        }
    }

    /// What its caller is told, with what would help.
    pub(crate) fn problem(self) -> Problem {
        let all = |most: u32, what: &str| {
            format!("the account has its {most} {what}: remove one that is not needed, or raise the limit")
        };
        match self {
            Self::Users(most) => ProblemKind::QuotaExceeded.because(all(most, "users")),
            Self::Keys { most, .. } => ProblemKind::QuotaExceeded.because(all(most, "keys")),
            // A bound of the broker's own, which nobody can raise.
            Self::Enrolments { most, .. } => ProblemKind::QuotaExceeded.because(format!(
                "the account has {most} enrolment tokens that wait to be used: use them first, or revoke those that are not needed"
            )),
            Self::JobsToday { most, now_ms } => {
                let detail = format!(
                    "the account has submitted its {most} jobs of today (UTC): wait, or raise jobs_per_day"
                );
                let mut problem = ProblemKind::QuotaExceeded.because(detail);
                problem.retry_after_s = Some((DAY_MS - now_ms % DAY_MS).div_ceil(1000));
                problem
            }
            Self::StoredBytes(most) => ProblemKind::QuotaExceeded.because(format!(
                "with this document the account would keep more than its {most} bytes: documents leave some time after \
                 their job has ended; wait, or raise stored_bytes"
            )),
        }
    }
}

/// Jobs that were made on the day of `now_ms`, where `day` (since 1970) is the day that was counted last.
pub(crate) fn jobs_on(now_ms: u64, day: u64, counted: u64) -> u64 {
    if day == now_ms / DAY_MS { counted } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_when_it_is_exceeded_and_what_would_help() {
        let now_ms = 2 * DAY_MS + 1000;
        for bound in [
            Bound::Users(7),
            Bound::Keys { most: 7, now_ms },
            Bound::Enrolments { most: 7, now_ms },
            Bound::JobsToday { most: 7, now_ms },
            Bound::StoredBytes(7),
        ] {
            assert!(!bound.is_exceeded_by(7) && bound.is_exceeded_by(8), "{bound:?}");
            let problem = bound.problem();
            assert_eq!((problem.status, problem.kind()), (403, Some(ProblemKind::QuotaExceeded)));
            let remedy = if matches!(bound, Bound::Enrolments { .. }) { "revoke" } else { "raise" };
            assert!(problem.detail.contains('7') && problem.detail.contains(remedy), "{}", problem.detail);
        }
        assert_eq!(Bound::JobsToday { most: 7, now_ms }.problem().retry_after_s, Some(24 * 3600 - 1));
        assert_eq!((jobs_on(now_ms, 2, 5), jobs_on(now_ms, 1, 5)), (5, 0));
    }
}
