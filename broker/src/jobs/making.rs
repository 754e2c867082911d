//! A checked request becomes a job. Its row, its document and its first event are one commit.

use inkwire_protocol::app::{Job, JobCreate, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, Attempt, DocumentId, JobId, Sha256Digest};
use inkwire_protocol::job::State;
use inkwire_protocol::limits::IDEMPOTENCY_KEPT;
use serde_json::Map;
use uuid::Uuid;

use super::options;
use super::submission::{self, Document};
use super::transition::{event, reason};
use crate::store::{Bound, Idempotency, JobRow, NewDocument, NewJob, Outcome, PrinterRow};

/// For whom a job is made, and what its account may have: checked within the commit.
#[derive(Debug, Clone)]
pub(crate) struct Submitter {
    pub(crate) account: AccountId,
    pub(crate) quotas: Vec<Bound>,
}

impl From<AccountId> for Submitter {
    /// Without a quota.
    fn from(account: AccountId) -> Self {
        Self { account, quotas: Vec::new() }
    }
}

/// What a job is made of, beside what was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making<'a> {
    pub(super) by: &'a Submitter,
    pub(super) document: &'a Document,
    pub(super) printer: &'a PrinterRow,
    pub(super) reprint_of: Option<JobId>,
    pub(super) now: u64,
}

/// Whether the printer takes what is asked for: not switched off, the format, the options.
pub(super) fn check(request: &JobCreate, printer: &PrinterRow) -> Result<(), Problem> {
    if !printer.settings.accepting {
        let detail = format!(
            "printer {} takes no jobs: an operator has set it so (printers.update, accepting)",
            printer.name
        );
        return Err(ProblemKind::Conflict.because(detail).at("/printer"));
    }
    submission::check_format(request, &printer.info)?;
    options::settle(&request.options, &printer.settings.options, &printer.info).map(drop)
}

/// The job that `request` asks for.
pub(super) fn new_job(request: JobCreate, making: Making<'_>) -> Result<NewJob, Problem> {
    let Making { by, document, printer, reprint_of, now } = making;
    let account = by.account;
    check(&request, printer)?;
    let idempotency = match request.idempotency_key.clone() {
        Some(key) => Some(Idempotency {
            key,
            request: submission::fingerprint(&request, document, reprint_of)?,
            expires_ms: now + IDEMPOTENCY_KEPT.as_millis() as u64,
        }),
        None => None,
    };
    let (delivery, mut warnings) = submission::delivery(&request, &printer.info);
    let (options, more) = options::settle(&request.options, &printer.settings.options, &printer.info)?;
    warnings.extend(more);
    let (bytes, sha256, packet_bytes, content) = match document {
        Document::Inline(bytes) => {
            (bytes.len() as u64, Some(Sha256Digest::of(bytes)), 0, NewDocument::Inline(bytes.clone()))
        }
        Document::Transfer { layout, sha256 } => {
            (layout.bytes(), *sha256, layout.packet_bytes(), NewDocument::Upload)
        }
        Document::Stored { bytes, sha256, .. } => (*bytes, Some(*sha256), 0, NewDocument::File),
        Document::Url { sha256, .. } => (0, *sha256, 0, NewDocument::Upload),
    };
    let (state, accepted_ms) = match (document, request.hold) {
        (Document::Transfer { .. } | Document::Url { .. }, _) => (State::Incoming, None),
        (Document::Inline(_) | Document::Stored { .. }, true) => (State::Held, Some(now)),
        (Document::Inline(_) | Document::Stored { .. }, false) => (State::Pending, Some(now)),
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
        options,
        warnings,
        on_uncertain: request.on_uncertain.unwrap_or(printer.settings.on_uncertain),
        tags: request.tags,
        idempotency_key: request.idempotency_key,
        reprint_of,
        created_ms: now,
        accepted_ms,
        ended_ms: None,
        rev: 0,
    };
    let document = match document {
        Document::Stored { id, .. } => *id,
        Document::Inline(_) | Document::Transfer { .. } | Document::Url { .. } => {
            DocumentId::from_uuid(Uuid::now_v7())
        }
    };
    let row =
        JobRow { account, job, document, packet_bytes, hold: request.hold, last_fact: None, corrupt: 0 };
    let kind = if state == State::Incoming { "job.incoming" } else { "job.accepted" };
    let events = vec![event(&row, kind, Map::new(), now)];
    Ok(NewJob { row, document: content, idempotency, events })
}

/// The job that a commit made.
pub(super) fn job_of(outcomes: Vec<Outcome>) -> Result<JobRow, Problem> {
    outcomes
        .into_iter()
        .find_map(|outcome| if let Outcome::Job(row) = outcome { Some(*row) } else { None })
        .ok_or_else(|| ProblemKind::Internal.because("the store made no job"))
}
