//! Pure: what a printer tells of a job, and what may be concluded from it about paper.

use inkwire_protocol::message::Witness;
use ipp::attribute::IppAttributeGroup;
use ipp::value::IppValue;

use super::info::reasons;
use super::values::{all, integer, text};
use crate::printers::backend::{Outcome, Task};
use crate::printers::outcome::{aborted, uncertain};

/// What is asked about a job.
pub(super) const ASKED: &[&str] = &[
    "job-id",
    "job-impressions-completed",
    "job-k-octets",
    "job-media-sheets-completed",
    "job-name",
    "job-printer-state-reasons",
    "job-state",
    "job-state-message",
    "job-state-reasons",
    "number-of-documents",
    "time-at-processing",
];

/// `job-state`, RFC 8011 section 5.3.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Held,
    Processing,
    Stopped,
    Canceled,
    Aborted,
    Completed,
    Unknown,
}

/// Whether the job was ever worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Never,
    Yes,
    NotTold,
}

/// A job as its printer tells it.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) id: Option<i32>,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) reasons: Vec<String>,
    pub(super) message: Option<String>,
    pub(super) begun: Begun,
    /// Impressions or sheets, whichever is more.
    pub(super) printed: Option<i32>,
    k_octets: Option<i32>,
}

/// What came out, as far as the printer's word goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paper {
    /// Nothing.
    None,
    /// So many impressions.
    Some(i32),
    /// It does not tell.
    Unknown,
}

impl View {
    pub(super) fn of(group: &IppAttributeGroup) -> Self {
        let state = match integer(group, "job-state") {
            Some(3) => State::Pending,
            Some(4) => State::Held,
            Some(5) => State::Processing,
            Some(6) => State::Stopped,
            Some(7) => State::Canceled,
            Some(8) => State::Aborted,
            Some(9) => State::Completed,
            _ => State::Unknown,
        };
        let begun = match all(group, "time-at-processing") {
            [IppValue::NoValue, ..] => Begun::Never,
            [IppValue::Integer(_), ..] => Begun::Yes,
            _ => Begun::NotTold,
        };
        Self {
            id: integer(group, "job-id"),
            name: text(group, "job-name").unwrap_or_default(),
            state,
            reasons: reasons(group, "job-state-reasons"),
            message: text(group, "job-state-message"),
            begun: if matches!(state, State::Processing | State::Stopped) { Begun::Yes } else { begun },
            printed: integer(group, "job-impressions-completed")
                .max(integer(group, "job-media-sheets-completed")),
            k_octets: integer(group, "job-k-octets"),
        }
    }

    /// Still waiting for its document.
    pub(super) fn wants_data(&self) -> bool {
        let waiting = |reason: &String| matches!(reason.as_str(), "job-incoming" | "job-data-insufficient");
        !self.is_terminal() && self.begun != Begun::Yes && self.reasons.iter().any(waiting)
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.state, State::Canceled | State::Aborted | State::Completed)
    }

    /// Wants a human, by its own word. A held job waits for one too, once it has its document.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped) || (self.state == State::Held && !self.wants_data())
    }

    /// A queue counts pages only for some printers, so its zero proves nothing once it has begun.
    pub(super) fn paper(&self, witness: Witness) -> Paper {
        match (self.printed, self.begun) {
            (Some(count @ 1..), _) => Paper::Some(count),
            (_, Begun::Never) => Paper::None,
            (Some(0), _) if witness == Witness::Device => Paper::None,
            _ => Paper::Unknown,
        }
    }

    /// Canceled or aborted before it was ever worked on: certainly nothing came out, and it is safe to begin again.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.state, State::Canceled | State::Aborted)
            && self.begun == Begun::Never
            && self.printed.unwrap_or(0) <= 0
    }

    /// The outcome of a job that has ended; none for one that has not.
    pub(super) fn outcome(&self, task: &Task, witness: Witness) -> Option<Outcome> {
        let why = self.why();
        Some(match (self.state, self.paper(witness)) {
            (State::Completed, _) if self.is_short(task.bytes) => uncertain(
                "document-truncated",
                "the printer completed the job with a part of the document",
                task.bytes,
            ),
            (State::Completed, _) => Outcome::Completed { witness, detail: self.remark() },
            (State::Canceled, Paper::None) => Outcome::Canceled,
            (State::Canceled, Paper::Some(count)) => uncertain(
                "canceled-at-device",
                format!("canceled after {count} impressions{why}"),
                task.bytes,
            ),
            (State::Canceled, Paper::Unknown) => uncertain(
                "canceled-at-device",
                format!("canceled while it was being printed{why}"),
                task.bytes,
            ),
            (State::Aborted, Paper::None) => aborted(
                self.reasons.first().map_or("aborted-by-device", String::as_str),
                format!("the printer aborted the job{why}"),
            ),
            (State::Aborted, Paper::Some(count)) => {
                uncertain("aborted-by-device", format!("aborted after {count} impressions{why}"), task.bytes)
            }
            (State::Aborted, Paper::Unknown) => {
                uncertain("aborted-by-device", format!("aborted while it was being printed{why}"), task.bytes)
            }
            (State::Pending | State::Held | State::Processing | State::Stopped | State::Unknown, _) => {
                return None;
            }
        })
    }

    /// It counts the octets, and they are fewer than the document's.
    fn is_short(&self, bytes: u64) -> bool {
        self.k_octets.and_then(|k| u64::try_from(k).ok()).is_some_and(|k| k > 0 && (k + 1) * 1024 < bytes)
    }

    /// It counts the octets, and they are the whole document's.
    pub(super) fn is_whole(&self, bytes: u64) -> bool {
        self.k_octets.and_then(|k| u64::try_from(k).ok()).is_some_and(|k| k > 0 && k >= bytes.div_ceil(1024))
    }

    fn why(&self) -> String {
        let message = self.message.iter().cloned();
        let words: Vec<String> = self.reasons.iter().cloned().chain(message).collect();
        if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
    }

    /// `job-completed-with-errors` and the like.
    fn remark(&self) -> Option<String> {
        let told = |reason: &&String| reason.starts_with("job-completed-with");
        self.reasons.iter().find(told).cloned()
    }
}

/// The name of a copy at the printer: the title for people, then what makes it ours alone.
pub(super) fn name(task: &Task) -> String {
    let title: String = task.title.chars().filter(|c| !c.is_control()).collect();
    let title = title.trim();
    // 127 octets is the least that printers keep of a name (PWG 5100.14).
    let cut = (0..=60.min(title.len())).rev().find(|at| title.is_char_boundary(*at)).unwrap_or(0);
    format!("{} {}", &title[..cut], key(task)).trim().to_owned()
}

/// What makes the name of a copy ours alone.
pub(super) fn key(task: &Task) -> String {
    format!("({}-{}-{})", task.job, task.attempt, task.copy)
}

#[cfg(test)]
mod tests {
    use inkwire_protocol::ids::{Attempt, JobId};
    use uuid::Uuid;

    use super::*;

    fn task() -> Task {
        Task {
            job: JobId::from_uuid(Uuid::nil()),
            attempt: Attempt(1),
            copy: 1,
            title: "ü".repeat(80),
            format: "application/pdf".into(),
            bytes: 100_000,
            options: Default::default(),
            streaming: false,
        }
    }

    fn view(state: State, begun: Begun, printed: Option<i32>) -> View {
        View {
            id: Some(1),
            name: String::new(),
            state,
            reasons: vec![],
            message: None,
            begun,
            printed,
            k_octets: None,
        }
    }

    #[test]
    fn a_name_is_short_and_carries_its_key() {
        let name = name(&task());
        assert!(name.len() <= 127 && name.ends_with(&key(&task())), "{name}");
    }

    #[test]
    fn canceled_is_said_only_when_nothing_came_out() {
        let judged = |begun, printed, witness| {
            view(State::Canceled, begun, printed).outcome(&task(), witness).unwrap()
        };
        assert_eq!(judged(Begun::Never, None, Witness::Queue), Outcome::Canceled);
        assert_eq!(judged(Begun::Yes, Some(0), Witness::Device), Outcome::Canceled);
        for (begun, printed, witness) in [
            (Begun::Yes, Some(0), Witness::Queue),
            (Begun::Yes, Some(2), Witness::Device),
            (Begun::Yes, None, Witness::Device),
            (Begun::NotTold, None, Witness::Device),
        ] {
            assert!(
                matches!(judged(begun, printed, witness), Outcome::Uncertain { .. }),
                "{begun:?} {printed:?}"
            );
        }
    }

    #[test]
    fn aborted_is_said_only_when_nothing_came_out() {
        let judged =
            |begun, printed| view(State::Aborted, begun, printed).outcome(&task(), Witness::Device).unwrap();
        assert!(matches!(judged(Begun::Never, None), Outcome::Aborted { .. }));
        assert!(matches!(judged(Begun::Yes, Some(1)), Outcome::Uncertain { .. }));
        assert!(matches!(judged(Begun::Yes, None), Outcome::Uncertain { .. }));
    }

    #[test]
    fn only_an_untouched_job_may_begin_again() {
        assert!(view(State::Canceled, Begun::Never, Some(0)).is_untouched());
        assert!(!view(State::Canceled, Begun::Yes, Some(0)).is_untouched());
        assert!(!view(State::Canceled, Begun::NotTold, None).is_untouched());
        assert!(!view(State::Completed, Begun::Never, None).is_untouched());
    }

    #[test]
    fn a_part_is_not_taken_for_the_whole() {
        let mut short = view(State::Completed, Begun::Yes, Some(1));
        short.k_octets = Some(10);
        assert!(matches!(short.outcome(&task(), Witness::Device), Some(Outcome::Uncertain { .. })));
        short.k_octets = Some(98);
        assert!(matches!(short.outcome(&task(), Witness::Device), Some(Outcome::Completed { .. })));
        assert_eq!(view(State::Processing, Begun::Yes, None).outcome(&task(), Witness::Device), None);
    }
}
