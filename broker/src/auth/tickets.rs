//! One-time tickets: who holds one may speak for its maker, once, within a minute. For pages of others, whose scripts
//! should never hold a key. In memory only: a restart makes all of them worthless.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use inkwire_protocol::ids::Sha256Digest;
use rand::Rng as _;
use zeroize::Zeroizing;

use super::Caller;
use super::keys::{self, Kind};
use crate::limits::MAX_TICKETS;

/// All that were not used yet.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    made: Mutex<HashMap<Sha256Digest, Ticket>>,
}

#[derive(Debug)]
struct Ticket {
    caller: Caller,
    expires_ms: u64,
}

impl Tickets {
    /// A ticket for `caller`; none where too many are about.
    pub(crate) fn make(&self, caller: Caller, expires_ms: u64, now_ms: u64) -> Option<Zeroizing<String>> {
        let mut random = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut random[..]);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MAX_TICKETS {
            made.retain(|_, ticket| ticket.expires_ms > now_ms);
        }
        if made.len() >= MAX_TICKETS {
            return None;
        }
        made.insert(Sha256Digest::of(&random[..]), Ticket { caller, expires_ms });
        Some(keys::make(Kind::Ticket, &random))
    }

    /// Uses a ticket up.
    pub(crate) fn redeem(&self, text: &str, now_ms: u64) -> Option<Caller> {
        let digest = keys::digest(Kind::Ticket, text)?;
        let ticket = self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest)?;
        if ticket.expires_ms > now_ms { Some(ticket.caller) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::Principal;
    use super::*;
    use inkwire_protocol::app::Scope;
    use inkwire_protocol::ids::{AccountId, KeyId};
    use uuid::Uuid;

    fn caller() -> Caller {
        Caller {
            account: AccountId::from_uuid(Uuid::nil()),
            account_name: "default".into(),
            principal: Principal::Key { id: KeyId::from_uuid(Uuid::nil()), name: "till".into(), user: None },
            scope: Scope::Read,
            expires_ms: None,
            cap: None,
        }
    }

    #[test]
    fn a_ticket_works_once_and_in_time() {
        let tickets = Tickets::default();
        let text = tickets.make(caller(), 60, 0).unwrap();
        assert_eq!(tickets.redeem(&text, 59), Some(caller()));
        assert_eq!(tickets.redeem(&text, 59), None);
        let late = tickets.make(caller(), 60, 0).unwrap();
        assert_eq!(tickets.redeem(&late, 60), None);
        assert_eq!(tickets.redeem("it_nonsense", 0), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let tickets = Tickets::default();
        for _ in 0..MAX_TICKETS {
            assert!(tickets.make(caller(), 60, 0).is_some());
        }
        assert!(tickets.make(caller(), 60, 0).is_none());
        assert!(tickets.make(caller(), 120, 60).is_some());
    }
}
