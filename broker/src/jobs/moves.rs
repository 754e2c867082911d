//! One job's turn: from an input to a commit, and from a commit to what follows.

use std::sync::Arc;

use inkwire_protocol::app::ProblemKind;
use inkwire_protocol::ids::{AckReceipt, AgentId, JobId};
use inkwire_protocol::job::{Event, Ignored, State};
use inkwire_protocol::message::{Fact, FactMessage};
use inkwire_protocol::transfer::Layout;

use super::dispatcher::{Dispatcher, answer};
use super::input::{Done, Effect, Input, Wish};
use super::rules;
use super::transition::{Moved, Note, advance, prioritize};
use crate::clock::now_ms;
use crate::sessions::link::SessionCommand;
use crate::store::{AcceptFact, Change, CommitError, JobRow, Outcome, UpdateJob};

impl Dispatcher {
    /// Takes the next input of a job, if nothing of it is on its way.
    pub(super) fn turn(&mut self, job: JobId) {
        loop {
            let Some(entry) = self.jobs.get_mut(&job) else { return };
            if entry.busy {
                return;
            }
            let Some(row) = entry.row.clone() else { return };
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
        let mut effect = Effect::None;
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
                effect = Effect::FactAck { agent: *agent, message: message.clone() };
            }
            Wish::Do { with: None, .. }
            | Wish::Send
            | Wish::OfferAgain { .. }
            | Wish::Prioritize(_)
            | Wish::SourceFailed { .. } => {}
        }
        changes.push(Change::UpdateJob(Box::new(UpdateJob { row: *next, events: log })));
        self.commit(row.job.id, input, effect, changes);
        false
    }

    /// Nothing changes; a fact is counted all the same, and whoever asked is told.
    fn nothing_moved(&mut self, row: &JobRow, input: Input, why: Ignored) -> bool {
        if let Wish::Fact { agent, message } = &input.wish {
            let effect = Effect::FactAck { agent: *agent, message: message.clone() };
            let change = Change::AcceptFact(accept(*agent, message));
            self.commit(row.job.id, input, effect, vec![change]);
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

    pub(super) fn commit(&mut self, job: JobId, input: Input, effect: Effect, changes: Vec<Change>) {
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.busy = true;
        }
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let result = store.commit(changes).await;
            Done::Committed { job, input, effect, result }
        });
    }

    /// A commit was answered: what follows may leave now.
    pub(super) fn committed(
        &mut self,
        job: JobId,
        input: Input,
        effect: &Effect,
        result: Result<Vec<Outcome>, CommitError>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.busy = false;
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(CommitError::Conflict(current)) => {
                // Somebody else moved it: it is stepped again from where it stands.
                entry.row = Some(*current);
                entry.waiting.push_front(input);
                return self.turn(job);
            }
            Err(error) => {
                tracing::error!(%job, %error, "a job's change was not stored");
                answer(input, Err(ProblemKind::Internal.because("the change could not be stored")));
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
        for outcome in outcomes {
            match outcome {
                Outcome::Fact { facts_acked, receipt, news } => {
                    tracing::trace!(%job, news, "a fact is taken");
                    self.acknowledge(effect, facts_acked, receipt);
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
        if let (Some(before), Some(after)) = (before, after) {
            if let Some(entry) = self.jobs.get_mut(&job) {
                entry.row = Some(after.clone());
            }
            let lost = input.tells_of_loss();
            answer(input, Ok(self.views.present(after.clone())));
            self.follow(&before, &after);
            if lost {
                self.spool_loss_told(&after);
            }
        } else {
            answer(input, Err(ProblemKind::Internal.because("nothing was stored")));
        }
        self.turn(job);
    }

    fn acknowledge(&mut self, effect: &Effect, facts_acked: u64, receipt: AckReceipt) {
        if let Effect::FactAck { agent, message } = effect {
            let (job, attempt, fact_seq) = (message.job, message.attempt, message.fact_seq);
            let receipt = Box::new(receipt);
            self.tell(*agent, SessionCommand::FactAck { job, attempt, fact_seq, facts_acked, receipt });
        }
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
