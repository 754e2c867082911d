//! How often somebody may ask: a token bucket (GCRA, by `governor`) for each key, person, token, and for each address and
//! name at the sign-in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use inkwire_protocol::app::{AccountLimits, Problem, ProblemKind};
use inkwire_protocol::ids::{KeyId, UserId};
use tokio::time::Instant;

use super::Principal;
use crate::limits::{MAX_BUCKETS, SIGN_IN_BURST, SIGN_IN_EVERY};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Key(KeyId),
    User(UserId),
    Token(String),
    /// Somebody who tries to sign in, by address (IPv6: by /64).
    Address(IpAddr),
    /// Tries to sign in as this person.
    Name(String),
}

impl Asker {
    /// Whose bucket a caller's requests come out of.
    pub(crate) fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Key { id, .. } => Self::Key(*id),
            Principal::User { id, .. } => Self::User(*id),
            Principal::Token { subject, issuer } => Self::Token(format!("{issuer} {subject}")),
        }
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

#[derive(Debug)]
struct Bucket {
    quota: Quota,
    limiter: Limiter,
    /// After this it is full again, and worth nothing more than a new one.
    full_at: Instant,
}

/// All buckets that are not full.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<Asker, Bucket>>,
}

/// What an account's callers may ask; none where there is no bound.
pub(crate) fn quota(limits: &AccountLimits) -> Option<Quota> {
    let rate = NonZeroU32::new(limits.requests_per_s?)?;
    let burst = limits.request_burst.and_then(NonZeroU32::new).unwrap_or(rate);
    Some(Quota::per_second(rate).allow_burst(burst))
}

/// What a stranger may try.
pub(crate) fn sign_in_quota() -> Option<Quota> {
    Some(Quota::with_period(SIGN_IN_EVERY)?.allow_burst(NonZeroU32::new(SIGN_IN_BURST)?))
}

impl Rates {
    /// Takes one from the asker's bucket, or says when there will be one.
    pub(crate) fn take(&self, asker: Asker, quota: Option<Quota>) -> Result<(), Problem> {
        let Some(quota) = quota else { return Ok(()) };
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let new =
            || Bucket { quota, limiter: RateLimiter::direct_with_clock(quota, MonotonicClock), full_at: now };
        let bucket = buckets.entry(asker).or_insert_with(new);
        if bucket.quota != quota {
            *bucket = new();
        }
        bucket.full_at = now + quota.burst_size_replenished_in();
        match bucket.limiter.check() {
            Ok(()) => Ok(()),
            Err(not_until) => Err(busy(not_until.wait_time_from(MonotonicClock.now()))),
        }
    }
}

fn busy(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let mut problem = ProblemKind::Busy.because(format!("too many requests: wait {seconds} s"));
    problem.retry_after_s = Some(seconds.max(1));
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_disturbs_no_other() {
        let rates = Rates::default();
        let limits =
            AccountLimits { requests_per_s: Some(1), request_burst: Some(3), ..AccountLimits::default() };
        let (ann, bob) = (Asker::Name("ann".into()), Asker::Name("bob".into()));
        for _ in 0..3 {
            rates.take(ann.clone(), quota(&limits)).unwrap();
        }
        let problem = rates.take(ann.clone(), quota(&limits)).unwrap_err();
        assert_eq!((problem.status, problem.retry_after_s), (429, Some(1)));
        rates.take(bob, quota(&limits)).unwrap();
        // Another quota begins anew; none has no bound.
        let more = AccountLimits { request_burst: Some(5), ..limits };
        rates.take(ann.clone(), quota(&more)).unwrap();
        assert!((0..1000).all(|_| rates.take(ann.clone(), quota(&AccountLimits::default())).is_ok()));
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let rates = Rates::default();
        let fast = Quota::per_second(NonZeroU32::MAX);
        for n in 0..MAX_BUCKETS + 10 {
            rates.take(Asker::Token(n.to_string()), Some(fast)).unwrap();
        }
        assert!(rates.buckets.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
