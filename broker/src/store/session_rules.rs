//! What the store decides when a session wants to begin (DESIGN §3, §4): pure, so that each rule can be read and tested alone.

use inkwire_protocol::ids::{InstanceId, SpoolId, StoreEpoch};

/// Instances that are remembered of an agent: enough to see two PCs alternate even when each restarts in between.
pub(super) const INSTANCES_KEPT: usize = 8;

/// What is known of an agent before this session.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    /// Newest first.
    pub(super) instances: &'a [InstanceId],
    pub(super) spool: Option<SpoolId>,
    pub(super) ledger_seq: u64,
    pub(super) facts_acked: u64,
    pub(super) reconciled: Option<StoreEpoch>,
}

/// What `hello` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) instance: InstanceId,
    pub(super) spool: SpoolId,
    pub(super) ledger_seq: u64,
    pub(super) facts_acked: u64,
}

/// Which process of the agent this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instance {
    /// The one that was here last.
    Same,
    /// A new start; the history with it.
    Restarted(Vec<InstanceId>),
    /// One that another had replaced: two PCs alternate.
    Clone,
}

/// A -> A is the same process, A -> B a restart, A -> B -> A a clone.
pub(super) fn instance(known: &Known<'_>, said: Said) -> Instance {
    match known.instances.iter().position(|&seen| seen == said.instance) {
        Some(0) => Instance::Same,
        Some(_) => Instance::Clone,
        None => {
            let older = known.instances.iter().copied().take(INSTANCES_KEPT - 1);
            Instance::Restarted(std::iter::once(said.instance).chain(older).collect())
        }
    }
}

/// Another spool, or an older one than was last seen.
pub(super) fn spool_lost(known: &Known<'_>, said: Said) -> bool {
    known.spool.is_some_and(|spool| spool != said.spool || said.ledger_seq < known.ledger_seq)
}

/// The agent remembers more acknowledged facts than the store: the store was restored from a backup.
pub(super) fn store_restored(known: &Known<'_>, said: Said) -> bool {
    said.facts_acked > known.facts_acked
}

/// The ledger has not been repeated for this incarnation of the store.
pub(super) fn reconciling(known: &Known<'_>, store_epoch: StoreEpoch) -> bool {
    known.reconciled != Some(store_epoch)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> InstanceId {
        InstanceId::from_uuid(Uuid::from_u128(n))
    }

    fn spool(n: u128) -> SpoolId {
        SpoolId::from_uuid(Uuid::from_u128(n))
    }

    fn known(instances: &[InstanceId]) -> Known<'_> {
        Known { instances, spool: Some(spool(1)), ledger_seq: 10, facts_acked: 5, reconciled: None }
    }

    fn said(instance: InstanceId) -> Said {
        Said { instance, spool: spool(1), ledger_seq: 10, facts_acked: 5 }
    }

    #[test]
    fn two_instances_that_alternate_are_a_clone() {
        assert_eq!(instance(&known(&[]), said(id(1))), Instance::Restarted(vec![id(1)]));
        assert_eq!(instance(&known(&[id(1)]), said(id(1))), Instance::Same);
        assert_eq!(instance(&known(&[id(1)]), said(id(2))), Instance::Restarted(vec![id(2), id(1)]));
        assert_eq!(instance(&known(&[id(2), id(1)]), said(id(1))), Instance::Clone);
        assert_eq!(instance(&known(&[id(3), id(2), id(1)]), said(id(1))), Instance::Clone);
    }

    #[test]
    fn the_history_of_instances_is_bounded() {
        let many: Vec<_> = (0..INSTANCES_KEPT as u128).map(id).collect();
        let Instance::Restarted(history) = instance(&known(&many), said(id(99))) else { panic!() };
        assert_eq!((history.len(), history[0]), (INSTANCES_KEPT, id(99)));
    }

    #[test]
    fn another_or_an_older_spool_is_a_lost_one() {
        let before = known(&[]);
        assert!(!spool_lost(&before, said(id(1))));
        assert!(!spool_lost(&before, Said { ledger_seq: 11, ..said(id(1)) }));
        assert!(spool_lost(&before, Said { ledger_seq: 9, ..said(id(1)) }));
        assert!(spool_lost(&before, Said { spool: spool(2), ledger_seq: 99, ..said(id(1)) }));
        let new = Known { spool: None, ..before };
        assert!(!spool_lost(&new, said(id(1))));
    }

    #[test]
    fn an_agent_that_remembers_more_knows_of_a_restored_store() {
        assert!(!store_restored(&known(&[]), said(id(1))));
        assert!(store_restored(&known(&[]), Said { facts_acked: 6, ..said(id(1)) }));
        assert!(!store_restored(&known(&[]), Said { facts_acked: 0, ..said(id(1)) }));
    }
}
