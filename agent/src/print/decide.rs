//! What a printer's worker does next. Pure: the jobs as they stand and the broker's time are arguments.

use std::cmp::Reverse;

use crate::spool::JobKey;

/// What the decision needs to know of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) key: JobKey,
    pub(crate) priority: u8,
    pub(crate) accepted_ms: u64,
    pub(crate) expires_ms: Option<u64>,
    /// The document is whole.
    pub(crate) whole: bool,
    pub(crate) held: bool,
    /// Bytes may go to the device as they come.
    pub(crate) streams: bool,
    /// An intent without an outcome.
    pub(crate) intent: bool,
    pub(crate) copies_done: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// Find out what became of the copy whose intent has no outcome: before anything else goes to the device.
    Recover(JobKey),
    /// Its time is over and nothing was given to the device.
    Expire(JobKey),
    /// Give the next copy to the device.
    Print(JobKey),
    /// Nothing; at this instant of the broker's time something may expire.
    Wait(Option<u64>),
}

/// Decides. `printer_streams` says whether the back-end takes bytes as they come.
pub(crate) fn next(jobs: &[View], now_ms: u64, printer_streams: bool) -> Next {
    let order = |view: &&View| (Reverse(view.priority), view.accepted_ms, view.key);
    if let Some(view) = jobs.iter().filter(|view| view.intent).min_by_key(order) {
        return Next::Recover(view.key);
    }
    if let Some(view) = jobs.iter().find(|view| may_expire(view) && is_over(view, now_ms)) {
        return Next::Expire(view.key);
    }
    // A job of which copies have come out is finished before another begins.
    let ready = |view: &&View| !view.held && (view.whole || (view.streams && printer_streams));
    let begun = jobs.iter().filter(ready).filter(|view| view.copies_done > 0).min_by_key(order);
    match begun.or_else(|| jobs.iter().filter(ready).min_by_key(order)) {
        Some(view) => Next::Print(view.key),
        None => {
            Next::Wait(jobs.iter().filter(|view| may_expire(view)).filter_map(|view| view.expires_ms).min())
        }
    }
}

/// While the document arrives the broker still watches its time.
fn may_expire(view: &View) -> bool {
    view.whole && view.copies_done == 0 && !view.intent
}

fn is_over(view: &View, now_ms: u64) -> bool {
    view.expires_ms.is_some_and(|expires| expires <= now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{Attempt, JobId};

    fn job(n: u128) -> View {
        View {
            key: JobKey::new(JobId::from_uuid(uuid::Uuid::from_u128(n)), Attempt(1)),
            priority: 50,
            accepted_ms: n as u64,
            expires_ms: None,
            whole: true,
            held: false,
            streams: false,
            intent: false,
            copies_done: 0,
        }
    }

    fn key(n: u128) -> JobKey {
        job(n).key
    }

    #[test]
    fn by_priority_then_acceptance() {
        let urgent = View { priority: 90, ..job(3) };
        assert_eq!(next(&[job(2), job(1), urgent], 0, false), Next::Print(key(3)));
        assert_eq!(next(&[job(2), job(1)], 0, false), Next::Print(key(1)));
    }

    #[test]
    fn what_a_crash_left_open_comes_before_everything() {
        let open = View { intent: true, priority: 1, expires_ms: Some(1), ..job(9) };
        assert_eq!(next(&[View { expires_ms: Some(1), ..job(1) }, open], 5, false), Next::Recover(key(9)));
    }

    #[test]
    fn copies_that_came_out_are_followed_by_the_others_and_never_expire() {
        let half = View { copies_done: 1, expires_ms: Some(1), priority: 1, ..job(9) };
        assert_eq!(next(&[job(1), half], 5, false), Next::Print(key(9)));
    }

    #[test]
    fn expiry_is_looked_at_also_for_held_jobs_and_says_when_to_look_again() {
        let held = View { held: true, expires_ms: Some(10), ..job(1) };
        assert_eq!(next(std::slice::from_ref(&held), 9, false), Next::Wait(Some(10)));
        assert_eq!(next(&[held], 10, false), Next::Expire(key(1)));
    }

    #[test]
    fn an_arriving_document_prints_only_where_both_sides_stream() {
        let arriving = View { whole: false, streams: true, ..job(1) };
        assert_eq!(next(std::slice::from_ref(&arriving), 0, true), Next::Print(key(1)));
        assert_eq!(next(std::slice::from_ref(&arriving), 0, false), Next::Wait(None));
        assert_eq!(next(&[View { streams: false, ..arriving }], 0, true), Next::Wait(None));
    }
}
