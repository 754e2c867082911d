//! What follows from a committed move: the agent is told, the queue goes on, the document is opened.

use std::sync::Arc;

use inkwire_protocol::job::{Event, State};
use inkwire_protocol::message::Open;

use super::dispatcher::{Dispatcher, by_policy};
use super::input::{Done, Input};
use super::rules;
use super::tally::Tally;
use crate::sessions::link::{OpenTransfer, SessionCommand};
use crate::store::JobRow;

impl Dispatcher {
    /// What a committed move leads to.
    pub(super) fn follow(&mut self, before: &JobRow, after: &JobRow) {
        let (was, job) = (&before.job, &after.job);
        let (id, agent, attempt) = (job.id, job.agent, job.attempt);
        if was.state != job.state || was.attempt != job.attempt {
            self.views.counts.entered(job.state);
        }
        if let Some(line) = self.line(agent, job.printer) {
            line.note(after);
            let moves = job.state != State::Pending || job.priority != was.priority;
            if was.state == State::Pending && moves {
                line.remove(before);
            }
            if matches!(job.state, State::Spooled | State::Printing | State::Completed) {
                line.refusals = 0;
            }
        }
        if was.state == State::Sending && job.state != State::Sending && !was.may_print {
            let reason = "the broker took the job back";
            self.tell(agent, SessionCommand::Drop { job: id, attempt: was.attempt, reason });
        }
        match job.state {
            State::Sending if was.state != State::Sending => self.open(after, 0),
            State::Sending if job.may_print && !was.may_print => {
                self.tell(agent, SessionCommand::Permit { job: id, attempt });
            }
            State::Pending if was.state != State::Pending || was.priority != job.priority => {
                self.enqueue_known(after);
            }
            State::Uncertain if was.state != State::Uncertain => self.decide_by_policy(after),
            State::Incoming
            | State::Pending
            | State::Held
            | State::Sending
            | State::Spooled
            | State::Printing
            | State::Stopped
            | State::Uncertain
            | State::Completed
            | State::Canceled
            | State::Aborted
            | State::Expired => {}
        }
        if let Some(request) = job.request.filter(|_| job.request != was.request) {
            self.tell(agent, SessionCommand::Request { job: id, attempt, request });
        }
        if job.state.is_terminal() || job.attempt != was.attempt {
            self.views.forget(id);
        }
        if job.state != State::Sending {
            self.tallies.remove(&id);
        }
        self.dispatch(agent, job.printer);
    }

    fn enqueue_known(&mut self, row: &JobRow) {
        let source = self.jobs.get(&row.job.id).and_then(|entry| entry.source.clone());
        self.enqueue(row.clone(), source);
    }

    fn decide_by_policy(&mut self, row: &JobRow) {
        let gone = row.job.reason.as_ref().is_some_and(|reason| reason.code == "agent-lost");
        if let Some(decision) = rules::policy(row.job.on_uncertain, row.job.attempt, gone)
            && let Some(entry) = self.jobs.get_mut(&row.job.id)
        {
            entry.waiting.push_back(Input::events(vec![Event::Decide(decision)], by_policy(decision)));
        }
    }

    /// Opens the attempt's transfer on the agent's session. Where the document is not at hand it is looked for first.
    pub(super) fn open(&mut self, row: &JobRow, next_seq: u32) {
        let id = row.job.id;
        if self.agents.get(&row.job.agent).is_none_or(|live| live.is_of_old_store(&self.store)) {
            return;
        }
        let source = self.jobs.get(&id).and_then(|entry| entry.source.clone());
        let (Some(source), Some(sha256)) = (source, row.job.sha256) else {
            self.jobs.entry(id).or_default().next_seq = next_seq;
            let (store, account, document) = (Arc::clone(&self.store), row.account, row.document);
            self.spawn(
                async move { Done::Source { job: id, content: store.document(account, document).await } },
            );
            return;
        };
        let job = &row.job;
        let pacing_bytes_s = self.line(job.agent, job.printer).and_then(|line| line.pacing_bytes_s);
        let open = Open {
            transfer: inkwire_protocol::ids::TransferId(0),
            job: id,
            attempt: job.attempt,
            printer: job.printer_number,
            bytes: job.bytes,
            packet_bytes: row.packet_bytes,
            next_seq,
            sha256,
            format: job.format.clone(),
            title: job.title.clone(),
            delivery: job.delivery,
            qty: job.qty,
            options: job.options.clone(),
            priority: job.priority,
            accepted_ms: job.accepted_ms.unwrap_or(job.created_ms),
            expires_ms: Some(job.expires_ms),
            pacing_bytes_s,
        };
        let tally = self.tallies.entry(id).or_insert_with(|| Tally::new(job.attempt, next_seq));
        if tally.attempt != job.attempt {
            *tally = Tally::new(job.attempt, next_seq);
        }
        tally.begin(next_seq);
        let transfer = OpenTransfer { open, source, permitted: job.may_print };
        self.tell(job.agent, SessionCommand::Open(Box::new(transfer)));
    }
}
