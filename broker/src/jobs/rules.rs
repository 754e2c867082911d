//! Which job goes next, how far sending runs ahead, when to try again: pure rules.

use std::cmp::Reverse;
use std::time::Duration;

use inkwire_protocol::app::{Job, Reason};
use inkwire_protocol::ids::Attempt;
use inkwire_protocol::job::{Decision, Event, FactKind, State};
use inkwire_protocol::limits::{DEFAULT_PACKET_BYTES, MAX_BYTES_AHEAD, MAX_JOBS_AHEAD};
use inkwire_protocol::message::RefuseReason;
use inkwire_protocol::printer::{Delivery, OnUncertain};
use inkwire_protocol::transfer::Layout;

use crate::store::JobRow;

/// Bytes that arrive damaged so often are damaged where nobody sees it.
pub(super) const CORRUPT_AT_MOST: u32 = 3;
/// A policy that prints again does so at most until this attempt: a device that swallows every job must not empty its tray.
const REPRINTS_UNTIL: Attempt = Attempt(3);

/// The order of a printer's queue: priority, then acceptance, then number.
pub(super) type QueueKey = (Reverse<u8>, u64, u64);

/// Where a job stands in its printer's queue.
pub(super) fn queue_key(row: &JobRow) -> QueueKey {
    (Reverse(row.job.priority), row.job.accepted_ms.unwrap_or(row.job.created_ms), row.job.number)
}

/// Whether a job of `bytes` may be sent ahead of what prints, when `jobs` with `ahead_bytes` are ahead already. One may always be.
pub(super) fn may_run_ahead(jobs: usize, ahead_bytes: u64, bytes: u64) -> bool {
    jobs == 0 || (jobs < MAX_JOBS_AHEAD && ahead_bytes.saturating_add(bytes) <= MAX_BYTES_AHEAD)
}

/// Whether a job is ahead of the one that prints.
pub(super) const fn is_ahead(state: State) -> bool {
    matches!(state, State::Sending | State::Spooled)
}

/// Whether packets of the current attempt may still be on their way: a stream prints while it arrives.
pub(super) fn is_arriving(job: &Job) -> bool {
    job.state == State::Sending || (job.delivery == Delivery::Stream && job.state.is_with_agent())
}

/// Whether the first packet of a new attempt lets the agent print: then the permit is committed with `sending`.
pub(super) fn permitted_at_once(bytes: u64, delivery: Delivery) -> bool {
    let one_packet = Layout::new(bytes, DEFAULT_PACKET_BYTES).is_ok_and(|layout| layout.packets() == 1);
    one_packet || delivery == Delivery::Stream
}

/// What follows from a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The ledger has it; its facts follow.
    FactsFollow,
    /// Nothing is certain before the outcome of an earlier attempt; the reason is shown.
    EarlierFirst(Reason),
    /// Try again after a while; the reason is shown.
    Later(Reason),
    /// It will never be taken.
    Never(Reason),
}

/// What follows from a refusal for `reason`.
pub(super) fn on_refusal(reason: RefuseReason, detail: Option<&str>) -> Verdict {
    let because = |code: &str, words: &str| Reason {
        code: code.to_owned(),
        detail: detail.unwrap_or(words).to_owned(),
    };
    match reason {
        RefuseReason::Known => Verdict::FactsFollow,
        RefuseReason::DiskFull => {
            Verdict::Later(because("disk-full", "the agent's disk is full: free space on its PC"))
        }
        RefuseReason::Busy => Verdict::Later(because("agent-busy", "the agent takes no more jobs just now")),
        RefuseReason::EarlierAttempt => {
            Verdict::EarlierFirst(because("earlier-attempt", "an earlier attempt is still with the device"))
        }
        RefuseReason::SpoolDamaged => {
            Verdict::Later(because("spool-damaged", "the agent's disk lost what it had: it is sent again"))
        }
        // A queue that is being made anew, a configuration that is being changed: it may be back in a minute.
        RefuseReason::NoSuchPrinter => Verdict::Later(because(
            "printer-gone",
            "its agent has this printer no more; cancel the job or bring the printer back",
        )),
        // The document will not change by waiting.
        RefuseReason::Format => {
            let words = detail.unwrap_or("the printer does not take this format");
            let remedy = format!("{words}: submit it again in a format that it takes");
            Verdict::Never(Reason { code: "document-format-error".to_owned(), detail: remedy })
        }
    }
}

/// What the outcome of an earlier attempt is to a job whose attempt `now` was refused for it. If it was printed, it is printed; any
/// other end makes the refusal certain, and the job goes on as it was decided.
pub(super) fn on_earlier(fact: FactKind, now: Attempt) -> Option<Event> {
    match fact {
        FactKind::Completed => Some(Event::Fact { attempt: now, kind: FactKind::Completed }),
        FactKind::Canceled
        | FactKind::Aborted
        | FactKind::Expired
        | FactKind::Uncertain
        | FactKind::Corrupt => Some(Event::Refused { attempt: now }),
        FactKind::Spooled | FactKind::Printing | FactKind::Stopped | FactKind::Held => None,
    }
}

/// How long a printer's queue waits after the `times`th refusal in a row.
pub(super) fn back_off(times: u32) -> Duration {
    Duration::from_secs(1 << times.saturating_sub(1).min(5))
}

/// What the policy decides on a job that has become uncertain; none where somebody must.
pub(super) fn policy(on_uncertain: OnUncertain, attempt: Attempt, agent_is_gone: bool) -> Option<Decision> {
    match on_uncertain {
        OnUncertain::Hold => None,
        OnUncertain::Drop => Some(Decision::Drop),
        OnUncertain::Reprint if attempt < REPRINTS_UNTIL && !agent_is_gone => Some(Decision::Reprint),
        OnUncertain::Reprint => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_runs_ahead_by_jobs_or_bytes_and_one_always_may() {
        assert!(may_run_ahead(0, 0, u64::MAX));
        assert!(may_run_ahead(31, 0, 1) && !may_run_ahead(32, 0, 1));
        assert!(may_run_ahead(1, MAX_BYTES_AHEAD - 5, 5) && !may_run_ahead(1, MAX_BYTES_AHEAD - 5, 6));
    }

    #[test]
    fn a_label_and_a_stream_are_permitted_at_once() {
        assert!(permitted_at_once(0, Delivery::Spool));
        assert!(permitted_at_once(u64::from(DEFAULT_PACKET_BYTES), Delivery::Spool));
        assert!(!permitted_at_once(u64::from(DEFAULT_PACKET_BYTES) + 1, Delivery::Spool));
        assert!(permitted_at_once(1 << 30, Delivery::Stream));
    }

    #[test]
    fn what_a_policy_reprints_has_an_end() {
        let reprint = |attempt, gone| policy(OnUncertain::Reprint, Attempt(attempt), gone);
        assert_eq!(reprint(1, false), Some(Decision::Reprint));
        assert_eq!(reprint(3, false), None);
        assert_eq!(reprint(1, true), None);
        assert_eq!(policy(OnUncertain::Hold, Attempt(1), false), None);
        assert_eq!(policy(OnUncertain::Drop, Attempt(9), true), Some(Decision::Drop));
    }

    #[test]
    fn refusals_wait_longer_each_time_but_not_for_ever() {
        let waits: Vec<_> = (1..9).map(|times| back_off(times).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(on_refusal(RefuseReason::Known, None), Verdict::FactsFollow);
        let Verdict::Never(why) = on_refusal(RefuseReason::Format, Some("labels takes ZPL, not PDF")) else {
            panic!("a wrong format does not get better")
        };
        assert_eq!(why.detail, "labels takes ZPL, not PDF: submit it again in a format that it takes");
        let gone = on_refusal(RefuseReason::NoSuchPrinter, None);
        assert!(matches!(gone, Verdict::Later(why) if why.code == "printer-gone"));
        let Verdict::Later(reason) = on_refusal(RefuseReason::DiskFull, Some("0 bytes")) else { panic!() };
        assert_eq!((reason.code.as_str(), reason.detail.as_str()), ("disk-full", "0 bytes"));
    }
}
