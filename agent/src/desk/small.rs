//! Small documents: gathered in memory, then committed in one go.

use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, Sha256Digest, TransferId};
use inkwire_protocol::message::{Fact, Open, RefuseReason};

use super::transfers::Kind;
use super::{Desk, Inner};
use crate::book::Job;
use crate::limits::DOCUMENTS_AT_HAND;
use crate::spool::{Change, JobKey, LedgerError, reader};

impl Desk {
    /// A small document is whole: document, row and fact in one commit.
    pub(super) fn store(&self, key: JobKey, transfer: TransferId, open: Arc<Open>, document: Bytes) {
        let (ledger, tell, at_ms) =
            (self.shared.ledger.clone(), self.tell.clone(), self.shared.clock.now_ms());
        tokio::spawn(async move {
            let found = Sha256Digest::of(&document);
            let changes = if found == open.sha256 {
                // Before a first attempt there was none.
                let supersede = (key.attempt > Attempt(1)).then_some(Change::Supersede { key, at_ms });
                let store = [
                    Change::Store { key, open: Box::new((*open).clone()), document: document.clone() },
                    Change::Fact { key, fact: Fact::Spooled, at_ms },
                ];
                supersede.into_iter().chain(store).collect()
            } else {
                corrupt(key, at_ms, wrong_digest(found, open.sha256))
            };
            let result = ledger.commit(changes).await.map(drop);
            let whole = found == open.sha256;
            let inner = match result {
                Ok(()) if !whole => None,
                result => Some(Inner::Stored { key, transfer, document, result }),
            };
            if let Some(inner) = inner
                && tell.send(inner).await.is_err()
            {
                tracing::debug!(job = %key, "the agent is stopping: the label waits in the ledger");
            }
        });
    }

    pub(super) async fn on_stored(
        &mut self,
        key: JobKey,
        transfer: TransferId,
        document: Bytes,
        result: Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let channel = self.channels.get(&transfer).filter(|channel| channel.key == key);
        let open = channel.map(|channel| Arc::clone(&channel.open));
        match result {
            Ok(()) => {
                // The connection may have been cut meanwhile: the ledger has the job all the same.
                let open = match open {
                    Some(open) => {
                        let next_seq =
                            self.channels.remove(&transfer).map_or(0, |c| c.receiver.layout().packets());
                        self.ack(transfer, next_seq, 0).await;
                        open
                    }
                    None => match self.open_of(key).await? {
                        Some(open) => open,
                        None => return Ok(()),
                    },
                };
                let at_hand = self.shared.book.len() < DOCUMENTS_AT_HAND;
                let document = at_hand.then_some(document);
                self.shared.book.put(key, Job { document, ..Job::whole(open) });
                self.catch_up(key).await
            }
            Err(LedgerError::Full) => {
                self.channels.remove(&transfer);
                self.refuse(transfer, key, RefuseReason::DiskFull, "the ledger's disk is full".into()).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn open_of(&self, key: JobKey) -> Result<Option<Arc<Open>>, LedgerError> {
        let rows = self.shared.ledger.read(reader::undecided).await?;
        Ok(rows.into_iter().find(|row| row.key == key).map(|row| Arc::new(row.open)))
    }

    /// Whether a small document of this attempt is being gathered or committed.
    pub(super) fn is_storing(&self, key: JobKey) -> bool {
        self.channels
            .values()
            .any(|channel| channel.key == key && matches!(channel.kind, Kind::Storing | Kind::Small(_)))
    }
}

pub(super) fn corrupt(key: JobKey, at_ms: u64, detail: String) -> Vec<Change> {
    let fact = Fact::Corrupt { detail };
    vec![Change::End { key, outcome: "corrupt", at_ms }, Change::Fact { key, fact, at_ms }]
}

pub(super) fn wrong_digest(found: Sha256Digest, expected: Sha256Digest) -> String {
    format!("the SHA-256 of what came is {found}, not {expected}")
}
