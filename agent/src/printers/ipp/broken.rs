//! Pure: what is to be said of a copy whose document did not go through, once its job has been canceled.

use inkwire_protocol::message::Witness;

use super::job::{Paper, View};
use crate::printers::backend::{Outcome, Task};
use crate::printers::limits::RETRY_AWAY;
use crate::printers::outcome::{aborted, not_started, uncertain};

/// The printer tells how the job ended. `feared` is what would be said without its word.
pub(super) fn seen(view: &View, task: &Task, witness: Witness, bytes: u64, feared: Outcome) -> Outcome {
    match feared {
        // Never worked on: nothing came out, and the part that was given is thrown away.
        Outcome::Uncertain { reason, detail, .. } if view.is_untouched() => match reason.as_str() {
            "canceled-at-device" | "transfer-dropped" => Outcome::Canceled,
            "spool-damaged" => aborted("spool-damaged", detail),
            _ => not_started(&reason, format!("{detail}; the printer threw the part away"), RETRY_AWAY),
        },
        Outcome::Uncertain { reason, .. }
            if reason == "canceled-at-device" && view.outcome(task, witness) == Some(Outcome::Canceled) =>
        {
            Outcome::Canceled
        }
        feared @ Outcome::Uncertain { .. } => feared,
        // It refused the document, or was given nothing. That stands unless it printed all the same; and where it does not
        // tell, a new try is not worth a second copy.
        feared @ (Outcome::Completed { .. }
        | Outcome::Canceled
        | Outcome::NotStarted { .. }
        | Outcome::Aborted { .. }) => match (view.paper(witness), &feared) {
            (Paper::Some(count), _) => {
                uncertain("aborted-by-device", format!("refused, and {count} impressions printed"), bytes)
            }
            (Paper::Unknown, Outcome::NotStarted { detail, .. }) if bytes > 0 => {
                uncertain("aborted-by-device", format!("{detail}; whether it printed is not told"), bytes)
            }
            (Paper::None | Paper::Unknown, _) => feared,
        },
    }
}

/// The printer does not tell how the job ended.
pub(super) fn unseen(bytes: u64, feared: Outcome) -> Outcome {
    match feared {
        Outcome::Aborted { detail, .. } | Outcome::NotStarted { detail, .. } if bytes > 0 => {
            uncertain("aborted-by-device", format!("{detail}; and the job cannot be looked at"), bytes)
        }
        feared @ (Outcome::Completed { .. }
        | Outcome::Canceled
        | Outcome::NotStarted { .. }
        | Outcome::Aborted { .. }
        | Outcome::Uncertain { .. }) => feared,
    }
}
