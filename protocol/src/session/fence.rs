//! Epochs fence frames: what an older session's connection still delivers changes nothing. Facts are good in any epoch.

use crate::ids::Epoch;
use crate::message::ToBroker;

/// Whether a message that arrived on a connection of epoch `of` counts while `live` is the agent's session.
pub const fn counts(message: &ToBroker, of: Epoch, live: Epoch) -> bool {
    match message {
        ToBroker::Fact(_) => true,
        ToBroker::Hello(_)
        | ToBroker::Report(_)
        | ToBroker::Ack(_)
        | ToBroker::Refuse(_)
        | ToBroker::Reconciled { .. }
        | ToBroker::Progress { .. }
        | ToBroker::Unknown => of.0 == live.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Attempt, FactSeq, JobId, TransferId};
    use crate::message::{Ack, Fact, FactMessage};

    #[test]
    fn an_old_sessions_ack_is_fenced_off_and_its_fact_is_not() {
        let ack = ToBroker::Ack(Ack { transfer: TransferId(1), next_seq: 9, credit: 4 });
        let fact = ToBroker::Fact(FactMessage {
            job: JobId::from_uuid(uuid::Uuid::nil()),
            attempt: Attempt(1),
            fact_seq: FactSeq(1),
            ledger_seq: 1,
            at_ms: 0,
            fact: Fact::Spooled,
        });
        assert!(counts(&ack, Epoch(5), Epoch(5)) && !counts(&ack, Epoch(4), Epoch(5)));
        assert!(counts(&fact, Epoch(4), Epoch(5)));
    }
}
