//! What the outcome of one copy means for its job. Pure.

use std::time::Duration;

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::job::Request;
use inkwire_protocol::message::Fact;

use crate::printers::backend::Outcome;

/// How the job stood when the copy ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Size of the document.
    pub(super) bytes: u64,
    pub(super) qty: u32,
    /// Copies that were done before this one.
    pub(super) copies_done: u32,
    pub(super) request: Option<Request>,
    pub(super) held: bool,
    /// The broker has thrown the attempt away.
    pub(super) dropped: bool,
    /// Digest of what was given to the device, where all was.
    pub(super) given: Option<Sha256Digest>,
}

/// What happens to the job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(super) enum Ending {
    /// It is decided.
    End { outcome: &'static str, fact: Fact },
    /// Another copy follows.
    NextCopy,
    /// Nothing was given; it is held now.
    Hold,
    /// Nothing was given and nobody wants it any more.
    Forget,
    /// Nothing was given; it is tried again.
    Again { reasons: Vec<String>, detail: String, after: Duration },
}

/// Decides.
pub(super) fn ending(job: Standing, outcome: Outcome) -> Ending {
    let bytes_done = job.bytes.saturating_mul(u64::from(job.copies_done));
    match outcome {
        Outcome::Completed { .. } if job.copies_done + 1 < job.qty => match job.request {
            Some(Request::Cancel | Request::Expire) => {
                without_this_copy(Standing { copies_done: job.copies_done + 1, ..job })
            }
            Some(Request::Hold | Request::Release) | None => Ending::NextCopy,
        },
        Outcome::Completed { witness, detail } => {
            let delivered_bytes = bytes_done + job.bytes;
            let fact = Fact::Completed { witness, delivered_bytes, sha256: job.given, detail };
            Ending::End { outcome: "completed", fact }
        }
        Outcome::Canceled if job.dropped && job.copies_done == 0 => Ending::Forget,
        Outcome::Canceled => without_this_copy(job),
        Outcome::NotStarted { .. } if job.dropped && job.copies_done == 0 => Ending::Forget,
        Outcome::NotStarted { reasons, detail, retry_after } => match job.request {
            Some(Request::Cancel | Request::Expire) => without_this_copy(job),
            _ if job.held && job.copies_done == 0 => Ending::Hold,
            Some(Request::Hold | Request::Release) | None => {
                Ending::Again { reasons, detail, after: retry_after }
            }
        },
        Outcome::Aborted { reason, detail } if job.copies_done == 0 => {
            Ending::End { outcome: "aborted", fact: Fact::Aborted { reason, detail } }
        }
        Outcome::Aborted { reason, detail } => uncertain(reason, detail, bytes_done),
        Outcome::Uncertain { reason, detail, delivered_bytes } => {
            uncertain(reason, detail, bytes_done.saturating_add(delivered_bytes))
        }
    }
}

/// Of this copy certainly nothing came out, and it is not wanted: how the job ends depends on those before.
fn without_this_copy(job: Standing) -> Ending {
    if job.copies_done > 0 {
        let detail = format!("{} of {} copies came out before it was canceled", job.copies_done, job.qty);
        let bytes = job.bytes.saturating_mul(u64::from(job.copies_done));
        return uncertain("canceled-between-copies".into(), detail, bytes);
    }
    match job.request {
        Some(Request::Expire) => Ending::End { outcome: "expired", fact: Fact::Expired },
        Some(Request::Cancel | Request::Hold | Request::Release) | None => {
            Ending::End { outcome: "canceled", fact: Fact::Canceled }
        }
    }
}

fn uncertain(reason: String, detail: String, delivered_bytes: u64) -> Ending {
    Ending::End { outcome: "uncertain", fact: Fact::Uncertain { reason, detail, delivered_bytes } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::message::Witness;

    fn job(qty: u32, copies_done: u32) -> Standing {
        Standing { bytes: 10, qty, copies_done, request: None, held: false, dropped: false, given: None }
    }

    fn completed() -> Outcome {
        Outcome::Completed { witness: Witness::Stored, detail: None }
    }

    fn not_started() -> Outcome {
        Outcome::NotStarted { reasons: vec![], detail: "busy".into(), retry_after: Duration::from_secs(1) }
    }

    fn outcome(ending: &Ending) -> &'static str {
        match ending {
            Ending::End { outcome, .. } => outcome,
            Ending::NextCopy => "next",
            Ending::Hold => "hold",
            Ending::Forget => "forget",
            Ending::Again { .. } => "again",
        }
    }

    #[test]
    fn every_copy_has_its_turn_and_only_the_last_completes() {
        assert_eq!(outcome(&ending(job(3, 0), completed())), "next");
        let Ending::End { fact: Fact::Completed { delivered_bytes, .. }, .. } =
            ending(job(3, 2), completed())
        else {
            panic!("not completed");
        };
        assert_eq!(delivered_bytes, 30);
    }

    #[test]
    fn canceled_means_that_nothing_came_out() {
        let asked = |request, copies_done| Standing { request: Some(request), ..job(3, copies_done) };
        assert_eq!(outcome(&ending(asked(Request::Cancel, 0), Outcome::Canceled)), "canceled");
        assert_eq!(outcome(&ending(asked(Request::Expire, 0), Outcome::Canceled)), "expired");
        assert_eq!(outcome(&ending(asked(Request::Cancel, 0), not_started())), "canceled");
        assert_eq!(outcome(&ending(asked(Request::Cancel, 1), Outcome::Canceled)), "uncertain");
        assert_eq!(outcome(&ending(asked(Request::Cancel, 0), completed())), "uncertain");
        // The last copy came out: too late.
        assert_eq!(outcome(&ending(asked(Request::Cancel, 2), completed())), "completed");
    }

    #[test]
    fn what_did_not_start_is_held_forgotten_or_tried_again() {
        assert_eq!(outcome(&ending(Standing { held: true, ..job(1, 0) }, not_started())), "hold");
        assert_eq!(outcome(&ending(Standing { dropped: true, ..job(1, 0) }, not_started())), "forget");
        assert_eq!(outcome(&ending(job(1, 0), not_started())), "again");
    }

    #[test]
    fn bytes_of_earlier_copies_count() {
        let lost = Outcome::Uncertain { reason: "r".into(), detail: "d".into(), delivered_bytes: 4 };
        let Ending::End { fact: Fact::Uncertain { delivered_bytes, .. }, .. } = ending(job(3, 2), lost)
        else {
            panic!("not uncertain");
        };
        assert_eq!(delivered_bytes, 24);
    }
}
