//! Jobs, their documents and the facts of agents.

use inkwire_protocol::ids::{DocumentId, JobId, Sha256Digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::map::{self, Spec};
use super::super::writer::Pending;
use super::super::{incarnation, receipts};
use super::{Fail, counts, events};
use crate::store::{AcceptFact, CommitError, Idempotency, JobRow, NewDocument, NewJob, Outcome, UpdateJob};

const KIND_COMING: u8 = 0;
const KIND_INLINE: u8 = 1;
const KIND_FILE: u8 = 2;

fn find(db: &Connection, job: JobId) -> rusqlite::Result<Option<JobRow>> {
    db.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?.query_row([job.uuid()], map::job).optional()
}

pub(super) fn create(db: &Connection, new: NewJob, pending: &mut Pending) -> Result<Outcome, Fail> {
    let NewJob { mut row, document, idempotency, events } = new;
    if let Some(idempotency) = &idempotency {
        remember(db, &row, idempotency)?;
    }
    let number: Option<u64> = db
        .prepare_cached("UPDATE accounts SET last_job = last_job + 1 WHERE id = ?1 RETURNING last_job")?
        .query_row([row.account.uuid()], |found| found.get(0))
        .optional()?;
    row.job.number = number.ok_or(CommitError::NotFound("account"))?;
    row.job.rev = events.len().max(1) as u64;
    insert_document(db, &row, &document)?;
    insert(db, &row)?;
    insert_tags(db, &row)?;
    events::log(db, row.account, &events, pending)?;
    counts::note(db, &row, &events)?;
    Ok(Outcome::Job(Box::new(row)))
}

fn insert_tags(db: &Connection, row: &JobRow) -> Result<(), Fail> {
    for tag in &row.job.tags {
        db.prepare_cached("INSERT OR IGNORE INTO job_tags (account, tag, number) VALUES (?1, ?2, ?3)")?
            .execute(params![row.account.uuid(), tag, row.job.number])?;
    }
    Ok(())
}

/// Same key and same request: the same job. The key is taken in the job's own transaction, so that of two at once one makes the job.
fn remember(db: &Connection, row: &JobRow, idempotency: &Idempotency) -> Result<(), Fail> {
    let found: Option<([u8; 32], uuid::Uuid)> = db
        .prepare_cached(
            "SELECT request, job FROM idempotency WHERE account = ?1 AND key = ?2 AND expires_ms > ?3",
        )?
        .query_row(params![row.account.uuid(), idempotency.key, row.job.created_ms], |found| {
            Ok((found.get(0)?, found.get(1)?))
        })
        .optional()?;
    if let Some((request, job)) = found {
        let job = JobId::from_uuid(job);
        // The job may be gone by retention: then the key is free again.
        if let Some(made) = find(db, job)? {
            return Err(if request == *idempotency.request.as_bytes() {
                CommitError::Duplicate(Box::new(made)).into()
            } else {
                CommitError::OtherRequest(job).into()
            });
        }
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO idempotency (account, key, request, job, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        row.account.uuid(),
        idempotency.key,
        idempotency.request.as_bytes(),
        row.job.id.uuid(),
        idempotency.expires_ms
    ])?;
    Ok(())
}

fn insert_document(db: &Connection, row: &JobRow, document: &NewDocument) -> Result<(), Fail> {
    let (kind, content) = match document {
        NewDocument::Inline(bytes) => (KIND_INLINE, Some(bytes.as_ref())),
        NewDocument::Upload => (KIND_COMING, None),
        NewDocument::File => (KIND_FILE, None),
    };
    db.prepare_cached(
        "INSERT INTO documents (id, account, kind, bytes, sha256, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        row.document.uuid(),
        row.account.uuid(),
        kind,
        row.job.bytes,
        row.job.sha256.map(|digest| *digest.as_bytes()),
        content
    ])?;
    Ok(())
}

fn insert(db: &Connection, row: &JobRow) -> Result<(), Fail> {
    let job = &row.job;
    db.prepare_cached(
        "INSERT INTO jobs (id, account, number, agent, printer, printer_number, document, spec, priority, hold,
             created_ms, expires_ms, bytes, sha256, state, reason, witness, attempt, may_print, request, received,
             delivered, packet_bytes, fact_attempt, fact_seq, corrupt, accepted_ms, ended_ms, rev)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
             ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)",
    )?
    .execute(params![
        job.id.uuid(),
        row.account.uuid(),
        job.number,
        job.agent.uuid(),
        job.printer.uuid(),
        job.printer_number.0,
        row.document.uuid(),
        map::json(&Spec::of(job))?,
        job.priority,
        row.hold,
        job.created_ms,
        job.expires_ms,
        job.bytes,
        job.sha256.map(|digest| *digest.as_bytes()),
        job.state.keyword(),
        job.reason.as_ref().map(map::json).transpose()?,
        job.witness.as_ref().map(map::keyword).transpose()?,
        job.attempt.0,
        job.may_print,
        job.request.as_ref().map(map::keyword).transpose()?,
        job.received_bytes,
        job.delivered_bytes,
        row.packet_bytes,
        row.last_fact.map(|fact| fact.0.0),
        row.last_fact.map(|fact| fact.1.0),
        row.corrupt,
        job.accepted_ms,
        job.ended_ms,
        job.rev,
    ])?;
    Ok(())
}

pub(super) fn update(db: &Connection, update: UpdateJob, pending: &mut Pending) -> Result<Outcome, Fail> {
    let UpdateJob { mut row, events } = update;
    // Each event says the rev that it led to.
    let steps = events.len().max(1) as u64;
    let job = &row.job;
    let changed = db
        .prepare_cached(
            "UPDATE jobs SET bytes = ?4, sha256 = ?5, state = ?6, reason = ?7, witness = ?8, attempt = ?9,
                 may_print = ?10, request = ?11, received = ?12, delivered = ?13, packet_bytes = ?14,
                 fact_attempt = ?15, fact_seq = ?16, corrupt = ?17, accepted_ms = ?18, ended_ms = ?19, priority = ?20,
                 rev = rev + ?21
             WHERE id = ?1 AND account = ?2 AND rev = ?3",
        )?
        .execute(params![
            job.id.uuid(),
            row.account.uuid(),
            job.rev,
            job.bytes,
            job.sha256.map(|digest| *digest.as_bytes()),
            job.state.keyword(),
            job.reason.as_ref().map(map::json).transpose()?,
            job.witness.as_ref().map(map::keyword).transpose()?,
            job.attempt.0,
            job.may_print,
            job.request.as_ref().map(map::keyword).transpose()?,
            job.received_bytes,
            job.delivered_bytes,
            row.packet_bytes,
            row.last_fact.map(|fact| fact.0.0),
            row.last_fact.map(|fact| fact.1.0),
            row.corrupt,
            job.accepted_ms,
            job.ended_ms,
            job.priority,
            steps,
        ])?;
    if changed == 0 {
        return Err(match find(db, row.job.id)? {
            Some(current) if current.account == row.account => {
                CommitError::Conflict(Box::new(current)).into()
            }
            Some(_) | None => CommitError::NotFound("job").into(),
        });
    }
    row.job.rev += steps;
    events::log(db, row.account, &events, pending)?;
    counts::note(db, &row, &events)?;
    Ok(Outcome::Job(Box::new(row)))
}

pub(super) fn store_document(
    db: &Connection,
    document: DocumentId,
    bytes: u64,
    sha256: Sha256Digest,
    inline: Option<&[u8]>,
) -> Result<Outcome, Fail> {
    let kind = if inline.is_some() { KIND_INLINE } else { KIND_FILE };
    let changed = db
        .prepare_cached(
            "UPDATE documents SET kind = ?2, bytes = ?3, sha256 = ?4, content = ?5 WHERE id = ?1",
        )?
        .execute(params![document.uuid(), kind, bytes, sha256.as_bytes(), inline])?;
    if changed == 0 { Err(CommitError::NotFound("document").into()) } else { Ok(Outcome::Done) }
}

/// Counts a fact once: the job's row remembers the last one, so this must stand *before* the job's own update in a commit.
pub(super) fn accept_fact(db: &Connection, fact: AcceptFact) -> Result<Outcome, Fail> {
    let last: Option<(Option<u32>, Option<u32>)> = db
        .prepare_cached("SELECT fact_attempt, fact_seq FROM jobs WHERE id = ?1 AND agent = ?2")?
        .query_row(params![fact.job.uuid(), fact.agent.uuid()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let news = match last {
        None => true,
        Some(last) => last.0.zip(last.1).is_none_or(|last| (fact.attempt.0, fact.fact_seq.0) > last),
    };
    if last.is_some() && news {
        db.prepare_cached("UPDATE jobs SET fact_attempt = ?2, fact_seq = ?3 WHERE id = ?1")?
            .execute(params![fact.job.uuid(), fact.attempt.0, fact.fact_seq.0])?;
    }
    let facts_acked: Option<u64> = db
        .prepare_cached(
            "UPDATE agents SET facts_acked = facts_acked + ?2, ledger_seq = max(ledger_seq, ?3) WHERE id = ?1
             RETURNING facts_acked",
        )?
        .query_row(params![fact.agent.uuid(), u8::from(news), fact.ledger_seq], |row| row.get(0))
        .optional()?;
    let facts_acked = facts_acked.ok_or(CommitError::NotFound("agent"))?;
    let receipt = receipts::sign(db, fact.agent, incarnation::current(db)?, facts_acked)?;
    Ok(Outcome::Fact { facts_acked, receipt, news })
}
