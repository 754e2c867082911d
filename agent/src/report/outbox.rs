//! Facts leave in the order of the ledger: all that are unacknowledged after each `welcome`, then each as it is committed.

use std::sync::Arc;

use inkwire_protocol::ids::StoreEpoch;
use tokio_util::sync::CancellationToken;

use crate::limits::OUTBOX_PAGE;
use crate::link::{Say, SessionNumber};
use crate::shared::Shared;
use crate::spool::LedgerError;

/// Runs until told to stop.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), LedgerError> {
    let mut online = shared.online.subscribe();
    loop {
        let session = *online.borrow_and_update();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            told = async {
                match session {
                    Some((number, epoch)) => tell(&shared, number, epoch).await,
                    None => std::future::pending().await,
                }
            } => told?,
            changed = online.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

/// Tells the facts of one session; ends only with an error.
async fn tell(shared: &Shared, session: SessionNumber, epoch: StoreEpoch) -> Result<(), LedgerError> {
    let (mut after, mut reconciled) = (0, false);
    loop {
        let page = shared.ledger.unacked_facts(after).await?;
        let whole = page.len() == OUTBOX_PAGE;
        for (id, fact) in page {
            after = id;
            tracing::trace!(job = %fact.job, seq = %fact.fact_seq, "told");
            shared.say(session, Say::Fact(Box::new(fact))).await;
        }
        if whole {
            continue;
        }
        if !reconciled {
            reconciled = true;
            shared.say(session, Say::Reconciled(epoch)).await;
        }
        shared.ledger.facts().notified().await;
    }
}
