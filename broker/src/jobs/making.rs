//! A checked request becomes a job. Its row, its document and its first event are one commit.

use inkwire_protocol::app::{Job, JobCreate, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, Attempt, DocumentId, JobId, Sha256Digest};
use inkwire_protocol::job::State;
use serde_json::Map;
use uuid::Uuid;

use super::submission::{self, Document};
use super::transition::{event, reason};
use crate::store::{Idempotency, JobRow, NewDocument, NewJob, Outcome, PrinterRow};

/// The job that `request` asks for, made `now`.
pub(super) fn new_job(
    account: AccountId,
    request: JobCreate,
    document: &Document,
    printer: &PrinterRow,
    idempotency: Option<Idempotency>,
    now: u64,
) -> NewJob {
    let (delivery, warnings) = submission::delivery(&request, &printer.info);
    let (bytes, sha256, packet_bytes, content) = match document {
        Document::Inline(bytes) => {
            (bytes.len() as u64, Some(Sha256Digest::of(bytes)), 0, NewDocument::Inline(bytes.clone()))
        }
        Document::Transfer { layout, sha256 } => {
            (layout.bytes(), *sha256, layout.packet_bytes(), NewDocument::Upload)
        }
        Document::Url { sha256, .. } => (0, *sha256, 0, NewDocument::Upload),
    };
    let (state, accepted_ms) = match (document, request.hold) {
        (Document::Transfer { .. } | Document::Url { .. }, _) => (State::Incoming, None),
        (Document::Inline(_), true) => (State::Held, Some(now)),
        (Document::Inline(_), false) => (State::Pending, Some(now)),
    };
    let job = Job {
        id: JobId::from_uuid(Uuid::now_v7()),
        number: 0,
        printer: printer.id,
        agent: printer.agent,
        printer_number: printer.info.number,
        expires_ms: submission::expires_ms(&request, now),
        title: request.title,
        format: request.format,
        bytes,
        sha256,
        state,
        reason: matches!(document, Document::Url { .. })
            .then(|| reason("fetching", "the broker fetches the document")),
        witness: None,
        attempt: Attempt(0),
        may_print: false,
        request: None,
        received_bytes: 0,
        delivered_bytes: 0,
        qty: request.qty,
        delivery,
        priority: request.priority,
        options: request.options,
        warnings,
        on_uncertain: request.on_uncertain.unwrap_or_default(),
        tags: request.tags,
        idempotency_key: request.idempotency_key,
        reprint_of: None,
        created_ms: now,
        accepted_ms,
        ended_ms: None,
        rev: 0,
    };
    let document = DocumentId::from_uuid(Uuid::now_v7());
    let row =
        JobRow { account, job, document, packet_bytes, hold: request.hold, last_fact: None, corrupt: 0 };
    let kind = if state == State::Incoming { "job.incoming" } else { "job.accepted" };
    let events = vec![event(&row, kind, Map::new(), now)];
    NewJob { row, document: content, idempotency, events }
}

/// The job that a commit made.
pub(super) fn job_of(outcomes: Vec<Outcome>) -> Result<JobRow, Problem> {
    outcomes
        .into_iter()
        .find_map(|outcome| if let Outcome::Job(row) = outcome { Some(*row) } else { None })
        .ok_or_else(|| ProblemKind::Internal.because("the store made no job"))
}
