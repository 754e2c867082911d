//! What `hello` and `welcome` have to settle before a job moves: one protocol version, the same spool, the same store.

use crate::ids::{SpoolId, StoreEpoch};
use crate::limits::{OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION};

/// No protocol version in common: the session is closed with `incompatible`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the peer speaks protocol {theirs}, this side {OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}: update the older side"
)]
pub struct Incompatible {
    /// What the peer offered or chose.
    pub theirs: u16,
}

/// The version of a session, from the highest one that the agent speaks: the broker's side of the choice.
pub const fn choose_version(offered: u16) -> Result<u16, Incompatible> {
    let chosen = if offered < PROTOCOL_VERSION { offered } else { PROTOCOL_VERSION };
    accept_version(chosen)
}

/// Whether this code speaks the version that the broker chose: the agent's side.
pub const fn accept_version(chosen: u16) -> Result<u16, Incompatible> {
    if chosen < OLDEST_PROTOCOL_VERSION || chosen > PROTOCOL_VERSION {
        return Err(Incompatible { theirs: chosen });
    }
    Ok(chosen)
}

/// A spool and how far its ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolMark {
    /// Made with the ledger.
    pub spool: SpoolId,
    /// Commits so far.
    pub ledger_seq: u64,
}

/// What became of an agent's spool since the broker last heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Spool {
    /// The first that is known of: nothing can be lost.
    First,
    /// The same, with all that the broker knows of in it.
    Same,
    /// Another spool: the old one is gone.
    Replaced,
    /// The same spool with fewer commits: an older copy of it was put back.
    RolledBack,
}

impl Spool {
    /// Whether [`crate::job::Event::SpoolLost`] goes to every job that the agent had before this `hello`.
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Replaced | Self::RolledBack)
    }
}

/// Compares what the broker last saw (from `hello` and facts; the highest `ledger_seq` that it committed) with a new `hello`.
pub fn compare_spool(known: Option<SpoolMark>, now: SpoolMark) -> Spool {
    match known {
        None => Spool::First,
        Some(known) if known.spool != now.spool => Spool::Replaced,
        Some(known) if now.ledger_seq < known.ledger_seq => Spool::RolledBack,
        Some(_) => Spool::Same,
    }
}

/// In which incarnation of the store the broker signed the agent's count of acknowledged facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// In the present one.
    Present,
    /// In one that the store knows to be over: every ledger has to be repeated since then anyway.
    Past,
    /// In one that this store has never heard of, and yet with its own key: it was made after the copy that this store is.
    Unheard,
}

/// Whether the broker's store was restored from a backup: it has signed (`signed`, checked by the caller) for more acknowledged
/// facts than it has taken in. The store then takes a new [`StoreEpoch`], commits it before `welcome`, and dispatches nothing to any
/// agent before its `reconciled`. A number that nobody signed shows nothing: every session would pay for one agent's lie.
///
/// Whatever became of the spool ([`Spool::is_lost`]): no spool counts more than a broker told it, and to a store from a
/// backup a newer spool looks like a lost one.
pub const fn store_was_restored(signed: Option<Signed>, acked_at_agent: u64, acked_in_store: u64) -> bool {
    match signed {
        Some(Signed::Present) => acked_at_agent > acked_in_store,
        Some(Signed::Unheard) => true,
        Some(Signed::Past) | None => false,
    }
}

/// What an agent repeats after `welcome`, before it says `reconciled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The facts that were never acknowledged.
    Unacknowledged,
    /// The last fact of every attempt in the ledger: this incarnation of the store may know of none of them.
    Everything,
}

/// Compares the incarnation that the ledger last reconciled with to the one in `welcome`. The agent notes the new one only when
/// every repeated fact is acknowledged.
pub fn what_to_repeat(reconciled_with: Option<StoreEpoch>, welcome: StoreEpoch) -> Repeat {
    if reconciled_with == Some(welcome) { Repeat::Unacknowledged } else { Repeat::Everything }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_older_side_chooses_the_version() {
        assert_eq!(choose_version(PROTOCOL_VERSION + 5), Ok(PROTOCOL_VERSION));
        assert_eq!(choose_version(OLDEST_PROTOCOL_VERSION), Ok(OLDEST_PROTOCOL_VERSION));
        let error = choose_version(OLDEST_PROTOCOL_VERSION - 1).unwrap_err();
        assert!(error.to_string().contains("update the older side"), "{error}");
        assert!(accept_version(PROTOCOL_VERSION + 1).is_err());
    }

    #[test]
    fn another_or_an_older_spool_is_lost() {
        let spool =
            |number, ledger_seq| SpoolMark { spool: SpoolId::from_uuid(Uuid::from_u128(number)), ledger_seq };
        assert_eq!(compare_spool(None, spool(1, 5)), Spool::First);
        assert_eq!(compare_spool(Some(spool(1, 5)), spool(1, 5)), Spool::Same);
        assert_eq!(compare_spool(Some(spool(1, 5)), spool(1, 9)), Spool::Same);
        assert_eq!(compare_spool(Some(spool(1, 5)), spool(1, 4)), Spool::RolledBack);
        assert_eq!(compare_spool(Some(spool(1, 5)), spool(2, 9)), Spool::Replaced);
        assert!(Spool::RolledBack.is_lost() && Spool::Replaced.is_lost());
        assert!(!Spool::First.is_lost() && !Spool::Same.is_lost());
    }

    #[test]
    fn a_restored_store_knows_fewer_facts_and_hears_them_all_again() {
        let present = Some(Signed::Present);
        assert!(store_was_restored(present, 8, 7) && !store_was_restored(present, 7, 7));
        assert!(store_was_restored(Some(Signed::Unheard), 7, 8), "a later incarnation was forgotten");
        assert!(!store_was_restored(Some(Signed::Past), 8, 7), "that was found out before");
        assert!(!store_was_restored(None, u64::MAX, 0), "anybody can say a number");
        let epoch = |number| StoreEpoch::from_uuid(Uuid::from_u128(number));
        assert_eq!(what_to_repeat(Some(epoch(1)), epoch(1)), Repeat::Unacknowledged);
        assert_eq!(what_to_repeat(Some(epoch(1)), epoch(2)), Repeat::Everything);
        assert_eq!(what_to_repeat(None, epoch(2)), Repeat::Everything);
    }
}
