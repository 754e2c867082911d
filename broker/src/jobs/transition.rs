//! A job's row and what is logged when it moves: the transition function of `protocol`, applied to a row.

use inkwire_protocol::app::Reason;
use inkwire_protocol::ids::{Attempt, FactSeq};
use inkwire_protocol::job::{Event, Ignored, State, Step, step};
use inkwire_protocol::limits::{DEFAULT_PACKET_BYTES, MAX_DETAIL_CHARS};
use inkwire_protocol::message::{Fact, FactMessage, Witness};
use inkwire_protocol::printer::Delivery;
use serde_json::{Map, Value, json};

use crate::store::{JobRow, NewEvent};

/// What is known beside the bare event.
#[derive(Debug, Clone, Default)]
pub(super) struct Note {
    pub(super) reason: Option<Reason>,
    pub(super) witness: Option<Witness>,
    pub(super) received_bytes: Option<u64>,
    pub(super) delivered_bytes: Option<u64>,
    pub(super) fact: Option<(Attempt, FactSeq)>,
    /// What the event is called, where nothing moved but this is to be told.
    pub(super) kind: Option<&'static str>,
    /// More for the event's data.
    pub(super) data: Map<String, Value>,
}

/// A job may have moved.
#[derive(Debug)]
pub(super) enum Moved {
    /// The row as it is to be (its rev is still the old one), and what is to be logged.
    To(Box<JobRow>, Vec<NewEvent>),
    Ignored(Ignored),
    Violation,
}

/// Words of a device are cut before they are stored.
pub(super) fn reason(code: &str, detail: &str) -> Reason {
    Reason {
        code: code.chars().take(MAX_DETAIL_CHARS).collect(),
        detail: detail.chars().take(MAX_DETAIL_CHARS).collect(),
    }
}

impl Note {
    /// A note that only says why.
    pub(super) fn because(code: &str, detail: &str) -> Self {
        Self { reason: Some(reason(code, detail)), ..Self::default() }
    }

    /// A note that tells of something that moves nothing.
    pub(super) fn telling(kind: &'static str, reason: Option<Reason>, data: Map<String, Value>) -> Self {
        Self { kind: Some(kind), reason, data, ..Self::default() }
    }

    /// Whether it is worth a change of the row by itself.
    pub(super) const fn is_telling(&self) -> bool {
        self.kind.is_some() || self.reason.is_some()
    }

    /// What a fact says beside its kind.
    pub(super) fn of(message: &FactMessage) -> Self {
        let mut note = Self { fact: Some((message.attempt, message.fact_seq)), ..Self::default() };
        match &message.fact {
            Fact::Corrupt { detail } => note.reason = Some(reason("document-damaged", detail)),
            Fact::Stopped { reasons, detail } => {
                let code = reasons.first().map_or("stopped", String::as_str);
                note.reason = Some(reason(code, detail));
                note.data.insert("reasons".into(), json!(reasons));
            }
            Fact::Completed { witness, delivered_bytes, sha256, detail } => {
                note.witness = Some(*witness);
                note.delivered_bytes = Some(*delivered_bytes);
                note.data.insert("sha256".into(), json!(sha256));
                note.data
                    .insert("detail".into(), json!(detail.as_deref().map(|text| reason("", text).detail)));
            }
            Fact::Aborted { reason: code, detail } => note.reason = Some(reason(code, detail)),
            Fact::Uncertain { reason: code, detail, delivered_bytes } => {
                note.reason = Some(reason(code, detail));
                note.delivered_bytes = Some(*delivered_bytes);
            }
            Fact::Spooled | Fact::Printing | Fact::Held | Fact::Canceled | Fact::Expired => {}
        }
        note
    }
}

/// Applies `events` one after the other: the first must move the job, the others do where they can.
pub(super) fn advance(row: &JobRow, events: &[Event], note: &Note, now_ms: u64) -> Moved {
    let mut standing = row.standing();
    for (index, &event) in events.iter().enumerate() {
        match step(standing, event) {
            Step::Next(next) => standing = next,
            Step::Ignore(why) if index == 0 => return Moved::Ignored(why),
            Step::Violation if index == 0 => return Moved::Violation,
            Step::Ignore(_) | Step::Violation => {}
        }
    }
    let mut next = row.clone();
    let job = &mut next.job;
    job.state = standing.state;
    job.attempt = standing.attempt;
    job.may_print = standing.may_print;
    job.request = standing.request;
    let changed = row.job.state != job.state;
    if changed || note.reason.is_some() || note.kind.is_some() {
        job.reason.clone_from(&note.reason);
    }
    if matches!(events.first(), Some(Event::Accept { .. })) {
        job.accepted_ms = Some(now_ms);
    }
    if row.job.attempt != job.attempt {
        (job.received_bytes, job.delivered_bytes) = (0, 0);
        next.packet_bytes = DEFAULT_PACKET_BYTES;
    }
    if let Some(bytes) = note.received_bytes {
        job.received_bytes = job.received_bytes.max(bytes);
    }
    let whole = job.state == State::Printing && job.delivery == Delivery::Spool;
    if whole || matches!(job.state, State::Spooled | State::Completed) {
        job.received_bytes = job.bytes;
    }
    if let Some(bytes) = note.delivered_bytes {
        job.delivered_bytes = bytes;
    }
    if job.state.is_terminal() {
        job.ended_ms = Some(now_ms);
    }
    if job.state == State::Completed {
        job.witness = note.witness;
    }
    next.last_fact = note.fact.max(next.last_fact);
    let events = log(row, &next, note, now_ms).into_iter().collect();
    Moved::To(Box::new(next), events)
}

/// Another place in the queue; possible until the job has left it.
pub(super) fn prioritize(row: &JobRow, priority: u8, now_ms: u64) -> Moved {
    let job = &row.job;
    let waits = matches!(job.state, State::Incoming | State::Pending | State::Held) && !job.may_print;
    match () {
        () if job.state.is_terminal() => Moved::Ignored(Ignored::Ended),
        () if !waits => Moved::Ignored(Ignored::NotNow),
        () if job.priority == priority => Moved::Ignored(Ignored::Already),
        () => {
            let mut next = row.clone();
            next.job.priority = priority;
            let data = Map::from_iter([("priority".to_owned(), json!(priority))]);
            let event = event(&next, "job.priority", data, now_ms);
            Moved::To(Box::new(next), vec![event])
        }
    }
}

/// The event that tells what changed; none where only the permit was given.
fn log(before: &JobRow, after: &JobRow, note: &Note, at_ms: u64) -> Option<NewEvent> {
    let job = &after.job;
    let accepted = before.job.accepted_ms.is_none() && job.accepted_ms.is_some();
    let kind = if let Some(kind) = note.kind {
        kind
    } else if accepted {
        "job.accepted"
    } else if before.job.state != job.state || before.job.attempt != job.attempt {
        kind(job.state)
    } else if before.job.request != job.request {
        "job.request"
    } else if before.job.reason != job.reason {
        "job.reason"
    } else {
        return None;
    };
    Some(event(after, kind, note.data.clone(), at_ms))
}

/// An event about a job, with where it stands.
pub(super) fn event(row: &JobRow, kind: &'static str, mut data: Map<String, Value>, at_ms: u64) -> NewEvent {
    let job = &row.job;
    data.retain(|_, value| !value.is_null());
    data.insert("state".into(), json!(job.state));
    data.insert("attempt".into(), json!(job.attempt));
    // The commit that holds this event raises it by one.
    data.insert("rev".into(), json!(job.rev + 1));
    if let Some(reason) = &job.reason {
        data.insert("reason".into(), json!(reason));
    }
    if let Some(witness) = job.witness {
        data.insert("witness".into(), json!(witness));
    }
    if let Some(request) = job.request {
        data.insert("request".into(), json!(request));
    }
    if job.delivered_bytes > 0 {
        data.insert("delivered_bytes".into(), json!(job.delivered_bytes));
    }
    if !job.tags.is_empty() {
        data.insert("tags".into(), json!(job.tags));
    }
    NewEvent {
        at_ms,
        kind,
        job: Some(job.id),
        agent: Some(job.agent),
        printer: Some(job.printer),
        data: Value::Object(data),
    }
}

const fn kind(state: State) -> &'static str {
    match state {
        State::Incoming => "job.incoming",
        State::Pending => "job.pending",
        State::Held => "job.held",
        State::Sending => "job.sending",
        State::Spooled => "job.spooled",
        State::Printing => "job.printing",
        State::Stopped => "job.stopped",
        State::Uncertain => "job.uncertain",
        State::Completed => "job.completed",
        State::Canceled => "job.canceled",
        State::Aborted => "job.aborted",
        State::Expired => "job.expired",
    }
}
