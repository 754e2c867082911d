//! Which events somebody wants.

use inkwire_protocol::app::{Event, EventList, Problem, ProblemKind, Subscribe};
use inkwire_protocol::ids::{AgentId, JobId, PrinterId};
use inkwire_protocol::limits::MAX_NAME_CHARS;
use serde_json::Value;

use crate::limits::{MAX_FILTER_KIND_BYTES, MAX_FILTER_KINDS};

/// What all of it names must fit; nothing named lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Beginnings of kinds, of which one must fit.
    pub(crate) kinds: Vec<String>,
    pub(crate) job: Option<JobId>,
    pub(crate) printer: Option<PrinterId>,
    pub(crate) agent: Option<AgentId>,
    /// Of the job.
    pub(crate) tag: Option<String>,
}

impl Filter {
    /// Whether an event passes.
    pub(crate) fn passes(&self, event: &Event) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| event.kind.starts_with(kind));
        kind && self.job.is_none_or(|job| event.job == Some(job))
            && self.printer.is_none_or(|printer| event.printer == Some(printer))
            && self.agent.is_none_or(|agent| event.agent == Some(agent))
            && self.tag.as_ref().is_none_or(|tag| has_tag(event, tag))
    }

    /// Whether it lets everything through.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// It is looked at for every event, so it is short.
    pub(crate) fn check(self) -> Result<Self, Problem> {
        check_kinds(&self.kinds)?;
        self.tag.as_deref().map_or(Ok(()), check_tag)?;
        Ok(self)
    }
}

/// Every event about a job says its tags.
fn has_tag(event: &Event, tag: &str) -> bool {
    let tags = event.data.get("tags").and_then(Value::as_array);
    event.job.is_some() && tags.is_some_and(|tags| tags.iter().any(|have| have == tag))
}

/// Whether a job could have this tag.
pub(crate) fn check_tag(tag: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME_CHARS).contains(&tag.chars().count()) {
        return Ok(());
    }
    let detail = format!("a tag that is looked for has 1 to {MAX_NAME_CHARS} characters");
    Err(ProblemKind::InvalidParams.because(detail).at("/tag"))
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
        let (kinds, tag) = (wish.kinds.clone(), wish.tag.clone());
        Self { kinds, job: wish.job, printer: wish.printer, agent: wish.agent, tag }
    }
}

impl From<&EventList> for Filter {
    fn from(wish: &EventList) -> Self {
        let (kinds, tag) = (wish.kinds.clone(), wish.tag.clone());
        Self { kinds, job: wish.job, printer: wish.printer, agent: wish.agent, tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::EventOffset;
    use serde_json::json;
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
            data: json!({"tags": ["order-1", "till"]}),
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
        let tagged = |tag: &str, job| Filter { tag: Some(tag.into()), ..filter(&[], job) };
        assert!(tagged("till", None).passes(&event) && !tagged("order", None).passes(&event));
        assert!(!tagged("till", job(2)).passes(&event));
        // Tags are of jobs: what else an event of another kind says is none.
        let bare = Event { data: Value::Null, ..event.clone() };
        let other = Event { job: None, ..event };
        assert!(!tagged("till", None).passes(&bare) && !tagged("till", None).passes(&other));
    }

    #[test]
    fn a_filter_is_short() {
        let kinds = |kinds: Vec<String>| Filter { kinds, ..Filter::default() }.check();
        assert!(kinds(vec!["job.".into(); MAX_FILTER_KINDS]).is_ok());
        assert!(kinds(vec!["job.".into(); MAX_FILTER_KINDS + 1]).is_err());
        assert!(kinds(vec!["x".repeat(MAX_FILTER_KIND_BYTES + 1)]).is_err());
        assert!(kinds(vec![String::new()]).is_err());
        let tag = |tag: &str| Filter { tag: Some(tag.into()), ..Filter::default() }.check();
        assert!(tag(&"\u{fc}".repeat(MAX_NAME_CHARS)).is_ok());
        assert!(tag("").is_err() && tag(&"x".repeat(MAX_NAME_CHARS + 1)).is_err());
    }
}
