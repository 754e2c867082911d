//! Work that has ended, and what is done with it.

use std::time::Duration;

use inkwire_protocol::app::ProblemKind;
use inkwire_protocol::ids::{AgentId, Epoch, JobId, PrinterId};
use inkwire_protocol::job::{Event, State};

use super::dispatcher::{Dispatcher, EXPIRY_RUN, answer};
use super::input::{Done, FactId, Input, Taken, Wish};
use super::line::HEADS;
use super::rules;
use super::transition::Note;
use crate::clock::now_ms;
use crate::store::{AcceptFact, Change, DocumentContent, JobRow, ReadError};

/// A query that failed is asked again after this long; meanwhile its jobs wait.
const READ_AGAIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Committed { job, step, result } => self.committed(job, *step, result),
            Done::Made(arrived) => self.arrived(*arrived),
            Done::Loaded { job, row } => self.loaded(job, row),
            Done::Source { job, content } => self.source_found(job, content),
            Done::Open { agent, epoch, found: Ok((rows, printers)) } => {
                self.opened(agent, epoch, rows, printers)
            }
            Done::Open { agent, epoch, found: Err(_) } => self.close(agent, epoch),
            Done::Printers { agent, epoch, found } => {
                if let Ok(printers) = found
                    && self.agents.get(&agent).is_some_and(|live| live.epoch == epoch)
                {
                    self.set_printers(agent, printers);
                    self.dispatch_all(agent);
                }
            }
            Done::Heads { printer, agent, epoch, found } => self.refilled(agent, epoch, printer, found),
            Done::Losing { agent, epoch, found: Ok(rows) } => {
                if self.agents.get(&agent).is_some_and(|live| live.epoch == epoch) {
                    self.lose_spool(agent, rows);
                }
            }
            Done::Losing { agent, epoch, found: Err(_) } => self.close(agent, epoch),
            Done::Many { found: Ok(rows), event } => self.many(rows, event),
            Done::Many { found: Err(error), .. } => {
                tracing::error!(%error, "jobs are left as they are until the next start")
            }
            Done::Expiring { found } => self.expire(found),
            Done::Marked { agent, epoch, what, result: Ok(_) } => self.marked(agent, epoch, what),
            Done::Marked { agent, epoch, result: Err(_), .. } => self.close(agent, epoch),
            Done::Returned { agent, printer } => {
                self.returning.remove(&printer);
                self.dispatch(agent, printer);
            }
            Done::Retry { agent, printer } => self.dispatch(agent, printer),
        }
    }

    /// The store did not answer for an agent: its session begins again.
    fn close(&mut self, agent: AgentId, epoch: Epoch) {
        if self.agents.get(&agent).is_some_and(|live| live.epoch == epoch) {
            let code = inkwire_protocol::close::CloseCode::Busy;
            let detail = "the broker's store did not answer";
            self.tell(agent, crate::sessions::link::SessionCommand::Close { code, detail });
        }
    }

    fn loaded(&mut self, job: JobId, row: Result<Option<Box<JobRow>>, ReadError>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.busy = false;
        let problem = match row {
            Ok(Some(row)) => {
                if entry.row.is_none() {
                    entry.row = Some(*row);
                }
                return self.turn(job);
            }
            Ok(None) => ProblemKind::NotFound.because("no such job"),
            Err(error) => ProblemKind::Internal.because(error.to_string()),
        };
        let waiting = std::mem::take(&mut entry.waiting);
        self.jobs.remove(&job);
        for input in waiting {
            if let Wish::Fact { agent, message } = &input.wish
                && problem.status == ProblemKind::NotFound.status()
            {
                self.unknown_fact(*agent, message);
            } else {
                answer(input, Err(problem.clone()));
            }
        }
    }

    /// A fact of a job that the store does not know (any more): counted, acknowledged, and that is all.
    fn unknown_fact(&mut self, agent: AgentId, message: &inkwire_protocol::message::FactMessage) {
        self.counters.fact_of_unknown_job();
        tracing::info!(%agent, job = %message.job, "a fact of an unknown job");
        let fact = AcceptFact {
            agent,
            job: message.job,
            attempt: message.attempt,
            fact_seq: message.fact_seq,
            ledger_seq: message.ledger_seq,
        };
        let job = message.job;
        self.jobs.entry(job).or_default();
        let step = Taken { facts: vec![(agent, FactId::of(message))], ..Taken::default() };
        self.commit(job, step, vec![Change::AcceptFact(fact)]);
    }

    fn source_found(&mut self, job: JobId, content: Result<Option<DocumentContent>, ReadError>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Some(row) = entry.row.clone() else { return };
        let next_seq = entry.next_seq;
        let attempt = row.job.attempt;
        let source = content.ok().flatten().zip(row.job.sha256).and_then(|(content, sha256)| {
            self.documents.source(row.account, row.document, content, row.job.bytes, sha256)
        });
        if !rules::is_arriving(&row.job) {
            return;
        }
        match source {
            Some(source) => {
                entry.source = Some(source);
                self.open(&row, next_seq);
            }
            None => {
                let error = "the document is not in the store".to_owned();
                self.input_to(row, Input { wish: Wish::SourceFailed { attempt, error }, reply: None });
            }
        }
    }

    fn refilled(
        &mut self,
        agent: AgentId,
        epoch: Epoch,
        printer: PrinterId,
        found: Result<Vec<(JobRow, DocumentContent)>, ReadError>,
    ) {
        if self.agents.get(&agent).is_none_or(|live| live.epoch != epoch) {
            return;
        }
        let Ok(found) = found else {
            if let Some(line) = self.line(agent, printer) {
                line.refilled(HEADS, HEADS);
            }
            return self.spawn(async move {
                tokio::time::sleep(READ_AGAIN).await;
                Done::Retry { agent, printer }
            });
        };
        let count = found.len();
        for (row, content) in found {
            // What memory knows is newer: it may have been sent, held or ended since.
            if let Some(entry) = self.jobs.get(&row.job.id) {
                let known =
                    entry.row.clone().filter(|known| known.job.state == State::Pending && !entry.busy);
                if let (Some(known), Some(line)) = (known, self.line(agent, printer)) {
                    line.push(&known);
                }
                continue;
            }
            let sha256 = row.job.sha256;
            let source = sha256.and_then(|sha256| {
                self.documents.source(row.account, row.document, content, row.job.bytes, sha256)
            });
            let entry = self.jobs.entry(row.job.id).or_default();
            entry.source = source;
            entry.row = Some(row.clone());
            if let Some(line) = self.line(agent, printer) {
                line.push(&row);
            }
        }
        if let Some(line) = self.line(agent, printer) {
            line.refilled(count, HEADS);
        }
        self.dispatch(agent, printer);
    }

    fn expire(&mut self, found: Result<(Vec<JobRow>, Option<u64>), ReadError>) {
        self.expiring = false;
        let Ok((due, next)) = found else {
            self.next_expiry_ms = Some(now_ms() + READ_AGAIN.as_millis() as u64);
            return;
        };
        // A full run is followed by another one; a made job may have come in between.
        let again = if due.len() == EXPIRY_RUN as usize {
            Some(now_ms() + READ_AGAIN.as_millis() as u64)
        } else {
            next
        };
        self.next_expiry_ms = again.into_iter().chain(self.next_expiry_ms.filter(|&at| at > now_ms())).min();
        for row in due {
            let note = Note::because("expired", "it was not printed in time");
            self.input_to(row, Input::events(vec![Event::Expire], note));
        }
    }
}
