//! One job's turn: from an input to a commit, and from a commit to what follows.

use std::sync::Arc;

use inkwire_protocol::app::ProblemKind;
use inkwire_protocol::ids::{AckReceipt, AgentId, JobId};
use inkwire_protocol::job::{Event, Ignored, State};
use inkwire_protocol::message::{Fact, FactMessage};
use inkwire_protocol::transfer::Layout;

use super::dispatcher::{Dispatcher, answer};
use super::input::{Done, FactId, Input, Taken, Wish};
use super::rules;
use super::transition::{Moved, Note, advance, prioritize};
use crate::clock::now_ms;
use crate::sessions::link::SessionCommand;
use crate::store::{AcceptFact, Change, CommitError, JobRow, NewEvent, Outcome, UpdateJob};

impl Dispatcher {
    /// Takes the next input of a job, if nothing of it is on its way.
    pub(super) fn turn(&mut self, job: JobId) {
        loop {
            let Some(entry) = self.jobs.get_mut(&job) else { return };
            if entry.busy {
                return;
            }
            let Some(row) = entry.row.clone() else { return };
            if entry.waiting.is_empty() {
                return self.settle(job);
            }
            if !entry.gathered && entry.waiting.iter().all(Input::may_gather) {
                return self.gather(job);
            }
            let Some(input) = entry.waiting.pop_front() else { return self.settle(job) };
            if !self.take(&row, input) {
                return;
            }
        }
    }

    /// Takes one input: true where it is done with, false where a commit is on its way now.
    fn take(&mut self, row: &JobRow, input: Input) -> bool {
        let (events, note) = match &input.wish {
            Wish::Do { attempt: Some(attempt), .. } if *attempt != row.job.attempt => return true,
            Wish::SourceFailed { attempt, .. } if *attempt != row.job.attempt => return true,
            Wish::OfferAgain { attempt } => {
                if *attempt == row.job.attempt && row.job.state == State::Sending {
                    self.resume_at(row, 0);
                }
                return true;
            }
            Wish::Do { events, note, .. } => (events.clone(), note.clone()),
            Wish::Send => {
                let may_print = rules::permitted_at_once(row.job.bytes, row.job.delivery);
                (vec![Event::Send { may_print }], Note::default())
            }
            Wish::Prioritize(_) => (vec![], Note::default()),
            Wish::SourceFailed { error, .. } => {
                let event = if row.job.may_print { Event::Cancel } else { Event::Abort };
                (vec![event], Note::because("document-unreadable", error))
            }
            Wish::Fact { agent, .. } if row.job.agent != *agent => (vec![], Note::default()),
            Wish::Fact { message, .. } => self.on_fact(row, message),
        };
        let now = now_ms();
        let moved = match (events.is_empty(), &input.wish) {
            (true, Wish::Do { .. }) if note.is_telling() && rules::is_arriving(&row.job) => {
                advance(row, &[], &note, now)
            }
            (true, Wish::Prioritize(priority)) => prioritize(row, *priority, now),
            (true, _) => Moved::Ignored(Ignored::NotNow),
            (false, Wish::Fact { message, .. })
                if row.last_fact >= Some((message.attempt, message.fact_seq)) =>
            {
                Moved::Ignored(Ignored::Already)
            }
            (false, _) => advance(row, &events, &note, now),
        };
        let (mut next, log) = match moved {
            Moved::To(next, log) => (next, log),
            Moved::Ignored(why) => return self.nothing_moved(row, input, why),
            Moved::Violation => {
                self.counters.fact_contradicts();
                tracing::warn!(job = %row.job.id, state = %row.job.state, ?events, "an agent's fact contradicts what is known");
                return self.nothing_moved(row, input, Ignored::NotNow);
            }
        };
        let mut changes = Vec::new();
        let mut step = Taken::default();
        match &input.wish {
            Wish::Do { with: Some(change), .. } => {
                if let Change::StoreDocument { bytes, sha256, .. } = &**change {
                    next.job.bytes = *bytes;
                    next.job.sha256 = Some(*sha256);
                }
                changes.push((**change).clone());
            }
            Wish::Fact { agent, message } => {
                if matches!(message.fact, Fact::Corrupt { .. }) {
                    next.corrupt += 1;
                }
                changes.push(Change::AcceptFact(accept(*agent, message)));
                step.facts.push((*agent, FactId::of(message)));
            }
            Wish::Do { with: None, .. }
            | Wish::Send
            | Wish::OfferAgain { .. }
            | Wish::Prioritize(_)
            | Wish::SourceFailed { .. } => {}
        }
        step.inputs.push(input);
        let mut update = UpdateJob { row: *next, events: log };
        self.fold(&mut step, &mut update, &mut changes, now);
        changes.push(Change::UpdateJob(Box::new(update)));
        self.commit(row.job.id, step, changes);
        false
    }

    /// Facts that came right behind a fact go into its commit: one write of the row, one event each.
    fn fold(&mut self, step: &mut Taken, update: &mut UpdateJob, changes: &mut Vec<Change>, now: u64) {
        let rev = update.row.job.rev;
        while let Some(entry) = self.jobs.get_mut(&update.row.job.id)
            && step.inputs.last().is_some_and(Input::may_gather)
            && let Some(input) = entry.waiting.pop_front()
        {
            let mut from = update.row.clone();
            from.job.rev = rev + update.events.len() as u64;
            let Some((next, log)) = self.next_fact(&from, &input, now) else {
                if let Some(entry) = self.jobs.get_mut(&update.row.job.id) {
                    entry.waiting.push_front(input);
                }
                break;
            };
            if let Wish::Fact { agent, message } = &input.wish {
                changes.push(Change::AcceptFact(accept(*agent, message)));
                step.facts.push((*agent, FactId::of(message)));
            }
            step.through.push(from.job.state);
            step.inputs.push(input);
            update.row = next;
            update.events.push(log);
        }
        update.row.job.rev = rev;
    }

    /// Where a fact moves a job by an ordinary step; none for whatever needs a turn of its own.
    fn next_fact(&self, row: &JobRow, input: &Input, now: u64) -> Option<(JobRow, NewEvent)> {
        let Wish::Fact { agent, message } = &input.wish else { return None };
        let news = row.last_fact < Some((message.attempt, message.fact_seq));
        let plain = matches!(message.fact, Fact::Spooled | Fact::Printing | Fact::Completed { .. });
        if !news || !plain || row.job.agent != *agent || row.job.attempt != message.attempt {
            return None;
        }
        let (events, note) = self.on_fact(row, message);
        match advance(row, &events, &note, now) {
            Moved::To(next, mut log) if log.len() == 1 => Some((*next, log.pop()?)),
            Moved::To(..) | Moved::Ignored(_) | Moved::Violation => None,
        }
    }

    /// Nothing changes; a fact is counted all the same, and whoever asked is told.
    fn nothing_moved(&mut self, row: &JobRow, input: Input, why: Ignored) -> bool {
        if let Wish::Fact { agent, message } = &input.wish {
            let change = Change::AcceptFact(accept(*agent, message));
            let facts = vec![(*agent, FactId::of(message))];
            let step = Taken { inputs: vec![input], facts, through: Vec::new() };
            self.commit(row.job.id, step, vec![change]);
            return false;
        }
        if matches!(input.wish, Wish::Send)
            && let Some(line) = self.line(row.job.agent, row.job.printer)
        {
            // It was counted as ahead when its turn came.
            line.note(row);
        }
        if input.tells_of_loss() {
            self.spool_loss_told(row);
        }
        let job = self.views.present(row.clone());
        let result = match why {
            Ignored::Already => Ok(job),
            Ignored::Ended | Ignored::OldAttempt | Ignored::NotNow => {
                let detail = format!("job {} is {}", job.number, job.state);
                let mut problem = ProblemKind::Conflict.because(detail);
                problem.state = Some(job.state);
                Err(problem)
            }
        };
        answer(input, result);
        true
    }

    pub(super) fn commit(&mut self, job: JobId, step: Taken, changes: Vec<Change>) {
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.busy = true;
            entry.gathered = false;
        }
        let (store, step) = (Arc::clone(&self.store), Box::new(step));
        self.spawn(async move {
            let result = store.commit(changes).await;
            Done::Committed { job, step, result }
        });
    }

    /// A commit was answered: what follows may leave now.
    pub(super) fn committed(&mut self, job: JobId, step: Taken, result: Result<Vec<Outcome>, CommitError>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.busy = false;
        let Taken { inputs, facts, through } = step;
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(CommitError::Conflict(current)) => {
                // Somebody else moved it: it is stepped again from where it stands.
                entry.row = Some(*current);
                inputs.into_iter().rev().for_each(|input| entry.waiting.push_front(input));
                return self.turn(job);
            }
            Err(error) => {
                tracing::error!(%job, %error, "a job's change was not stored");
                let problem = ProblemKind::Internal.because("the change could not be stored");
                inputs.into_iter().for_each(|input| answer(input, Err(problem.clone())));
                // What memory holds of it may be wrong: it is read again.
                entry.row = None;
                if entry.waiting.is_empty() {
                    self.jobs.remove(&job);
                }
                return;
            }
        };
        let before = entry.row.clone();
        let mut after = None;
        let mut facts = facts.into_iter();
        for outcome in outcomes {
            match outcome {
                Outcome::Fact { facts_acked, receipt, news } => {
                    tracing::trace!(%job, news, "a fact is taken");
                    if let Some((agent, fact)) = facts.next() {
                        self.acknowledge(agent, fact, facts_acked, receipt);
                    }
                }
                Outcome::Job(row) => after = Some(*row),
                Outcome::Done
                | Outcome::User(_)
                | Outcome::Agent(_)
                | Outcome::Begun(_)
                | Outcome::Printers { .. }
                | Outcome::Swept { .. } => {}
            }
        }
        let lost = inputs.iter().any(Input::tells_of_loss);
        if let (Some(before), Some(after)) = (before, after) {
            if let Some(entry) = self.jobs.get_mut(&job) {
                entry.row = Some(after.clone());
            }
            for input in inputs {
                answer(input, Ok(self.views.present(after.clone())));
            }
            through.into_iter().for_each(|state| self.views.counts.entered(state));
            self.follow(&before, &after);
            if lost {
                self.spool_loss_told(&after);
            }
        } else {
            let problem = ProblemKind::Internal.because("nothing was stored");
            inputs.into_iter().for_each(|input| answer(input, Err(problem.clone())));
        }
        self.turn(job);
    }

    fn acknowledge(&mut self, agent: AgentId, fact: FactId, facts_acked: u64, receipt: AckReceipt) {
        let FactId { job, attempt, fact_seq } = fact;
        let receipt = Box::new(receipt);
        self.tell(agent, SessionCommand::FactAck { job, attempt, fact_seq, facts_acked, receipt });
    }

    /// A job that has ended, or that no live agent has, need not stay in memory.
    fn settle(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else { return };
        if entry.busy || !entry.waiting.is_empty() {
            return;
        }
        let keep = entry.row.as_ref().is_some_and(|row| {
            let live = self.agents.contains_key(&row.job.agent);
            live && (row.job.state.is_with_agent() || row.job.state == State::Pending)
        });
        if !keep {
            self.jobs.remove(&job);
        }
    }

    /// A fact as events. Damaged too often ends the job; the outcome of an earlier attempt counts where the present one waits for it.
    fn on_fact(&self, row: &JobRow, message: &FactMessage) -> (Vec<Event>, Note) {
        let (now, kind) = (row.job.attempt, message.fact.kind());
        let mut note = Note::of(message);
        let waits = self.jobs.get(&row.job.id).and_then(|entry| entry.waits_for_earlier);
        if message.attempt < now && waits == Some(now) {
            return (rules::on_earlier(kind, now).into_iter().collect(), note);
        }
        let mut events = vec![Event::Fact { attempt: message.attempt, kind }];
        if matches!(message.fact, Fact::Corrupt { .. }) && row.corrupt + 1 >= rules::CORRUPT_AT_MOST {
            events.push(Event::Abort);
        }
        if matches!(message.fact, Fact::Spooled)
            && let Some(tally) =
                self.tallies.get(&row.job.id).filter(|tally| tally.attempt == message.attempt)
            && let Ok(layout) = Layout::new(row.job.bytes, row.packet_bytes)
        {
            note.data.extend(tally.summary(layout.packets()));
        }
        (events, note)
    }
}

fn accept(agent: AgentId, message: &FactMessage) -> AcceptFact {
    AcceptFact {
        agent,
        job: message.job,
        attempt: message.attempt,
        fact_seq: message.fact_seq,
        ledger_seq: message.ledger_seq,
    }
}
