//! What the desk says to the broker, and how much it may grant.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::TransferId;
use inkwire_protocol::message::{Ack, Refuse, RefuseReason};
use inkwire_protocol::transfer::{Layout, Window, fair_share};

use super::Desk;
use crate::link::Say;
use crate::spool::{JobKey, LedgerError, free_bytes};

impl Desk {
    /// Space for new documents: what is free, less what stays free, less what open transfers still need.
    pub(super) fn room_bytes(&self) -> u64 {
        let free = match free_bytes(&self.shared.spool_dir) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, "the spool's disk does not say how much is free");
                return 0;
            }
        };
        let promised: u64 = self
            .partly
            .values()
            .map(|partly| partly.layout.bytes() - partly.layout.bytes_below(partly.next_seq))
            .sum();
        free.saturating_sub(self.shared.min_free_bytes).saturating_sub(promised)
    }

    /// What one transfer may have of the connection's window.
    pub(super) fn share(&self) -> u64 {
        fair_share(self.channels.len())
    }

    pub(super) fn window_packets(&self, window: &Window, layout: Layout) -> u32 {
        window.packets(layout, self.share())
    }

    pub(super) async fn ack(&self, transfer: TransferId, next_seq: u32, credit: u32) {
        if let Some(session) = self.session {
            self.shared.say(session, Say::Ack(Ack { transfer, next_seq, credit })).await;
        }
    }

    pub(super) async fn refuse(
        &mut self,
        transfer: TransferId,
        key: JobKey,
        reason: RefuseReason,
        detail: String,
    ) {
        // `known` is no refusal to a person: its facts follow.
        let news = reason != RefuseReason::Known && self.refused != Some((key.job, reason));
        if news {
            self.refused = Some((key.job, reason));
            tracing::warn!(job = %key, ?reason, detail, "a document is refused");
        }
        let (job, attempt, detail) = (key.job, key.attempt, Some(detail));
        if let Some(session) = self.session {
            let refuse = Refuse { transfer, job, attempt, reason, detail };
            self.shared.say(session, Say::Refuse(Box::new(refuse))).await;
        }
    }

    pub(super) async fn violation(&mut self, code: CloseCode, detail: String) -> Result<(), LedgerError> {
        tracing::warn!(code = code.name(), detail, "the broker broke the protocol");
        if let Some(session) = self.session {
            self.shared.say(session, Say::Close { code, detail }).await;
        }
        Ok(())
    }
}
