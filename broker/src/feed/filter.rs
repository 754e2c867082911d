//! Which events somebody wants.

use inkwire_protocol::app::{Event, EventList, Problem, ProblemKind, Subscribe};
use inkwire_protocol::ids::{AgentId, JobId, PrinterId};

use crate::limits::{MAX_FILTER_KIND_BYTES, MAX_FILTER_KINDS};

/// What all of it names must fit; nothing named lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Beginnings of kinds, of which one must fit.
    pub(crate) kinds: Vec<String>,
    pub(crate) job: Option<JobId>,
    pub(crate) printer: Option<PrinterId>,
    pub(crate) agent: Option<AgentId>,
}

impl Filter {
    /// A filter by kinds alone.
    pub(crate) fn of_kinds(kinds: Vec<String>) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// Whether an event passes.
    pub(crate) fn passes(&self, event: &Event) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| event.kind.starts_with(kind));
        kind && self.job.is_none_or(|job| event.job == Some(job))
            && self.printer.is_none_or(|printer| event.printer == Some(printer))
            && self.agent.is_none_or(|agent| event.agent == Some(agent))
    }

    /// Whether it lets everything through.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// It is looked at for every event, so it is short.
    pub(crate) fn check(self) -> Result<Self, Problem> {
        check_kinds(&self.kinds)?;
        Ok(self)
    }
}

/// Whether a list of kinds is short enough to be looked at for every event.
pub(crate) fn check_kinds(kinds: &[String]) -> Result<(), Problem> {
    let fits = |kind: &String| kind.is_ascii() && (1..=MAX_FILTER_KIND_BYTES).contains(&kind.len());
    if kinds.len() <= MAX_FILTER_KINDS && kinds.iter().all(fits) {
        return Ok(());
    }
    let detail = format!("at most {MAX_FILTER_KINDS} kinds of 1 to {MAX_FILTER_KIND_BYTES} bytes");
    Err(ProblemKind::InvalidParams.because(detail).at("/kinds"))
}

impl From<&Subscribe> for Filter {
    fn from(wish: &Subscribe) -> Self {
        Self { kinds: wish.kinds.clone(), job: wish.job, printer: wish.printer, agent: wish.agent }
    }
}

impl From<&EventList> for Filter {
    fn from(wish: &EventList) -> Self {
        Self { kinds: wish.kinds.clone(), job: wish.job, printer: wish.printer, agent: wish.agent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::EventOffset;
    use serde_json::Value;
    use uuid::Uuid;

    fn job(n: u128) -> Option<JobId> {
        Some(JobId::from_uuid(Uuid::from_u128(n)))
    }

    #[test]
    fn all_that_a_filter_names_must_fit() {
        let printer = Some(PrinterId::from_uuid(Uuid::from_u128(7)));
        let event = Event {
            offset: EventOffset(1),
            at_ms: 0,
            kind: "job.accepted".into(),
            job: job(1),
            agent: None,
            printer,
            data: Value::Null,
        };
        let filter = |kinds: &[&str], job| Filter {
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            job,
            ..Filter::default()
        };
        assert!(Filter::default().is_open() && Filter::default().passes(&event));
        assert!(filter(&["agent.", "job."], job(1)).passes(&event));
        assert!(!filter(&["agent."], None).passes(&event));
        assert!(!filter(&[], job(2)).passes(&event));
        assert!(Filter { printer, ..Filter::default() }.passes(&event));
        assert!(!Filter { printer, ..filter(&[], job(2)) }.passes(&event));
        let agent = Some(AgentId::from_uuid(Uuid::from_u128(1)));
        assert!(!Filter { agent, ..Filter::default() }.passes(&event));
    }

    #[test]
    fn a_filter_is_short() {
        assert!(Filter::of_kinds(vec!["job.".into(); MAX_FILTER_KINDS]).check().is_ok());
        assert!(Filter::of_kinds(vec!["job.".into(); MAX_FILTER_KINDS + 1]).check().is_err());
        assert!(Filter::of_kinds(vec!["x".repeat(MAX_FILTER_KIND_BYTES + 1)]).check().is_err());
        assert!(Filter::of_kinds(vec![String::new()]).check().is_err());
    }
}
