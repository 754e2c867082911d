//! How many app connections each account has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::ids::AccountId;

/// Counts by account.
#[derive(Debug, Default)]
pub(crate) struct Places {
    counts: Mutex<HashMap<AccountId, u32>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Places>,
    account: AccountId,
}

impl Places {
    /// A place for one more connection, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, account: AccountId, most: Option<u32>) -> Result<Place, Problem> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(account).or_insert(0);
        if let Some(most) = most.filter(|&most| *count >= most) {
            let detail = format!("the account has its {most} app connections: close one that is not needed");
            return Err(ProblemKind::QuotaExceeded.because(detail));
        }
        *count += 1;
        Ok(Place { of: self.clone(), account })
    }

    /// Connections of an account.
    pub(crate) fn count(&self, account: AccountId) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(&account).copied().unwrap_or(0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_account_has_so_many_places_and_gives_them_back() {
        let places = Arc::new(Places::default());
        let (one, two) = (AccountId::from_uuid(Uuid::from_u128(1)), AccountId::from_uuid(Uuid::from_u128(2)));
        let first = places.enter(one, Some(1)).unwrap();
        assert_eq!(places.enter(one, Some(1)).unwrap_err().kind(), Some(ProblemKind::QuotaExceeded));
        let other = places.enter(two, Some(1)).unwrap();
        drop(first);
        let again = places.enter(one, Some(1)).unwrap();
        assert_eq!((places.count(one), places.count(two)), (1, 1));
        drop((again, other));
        assert!(places.counts.lock().unwrap().is_empty());
    }
}
