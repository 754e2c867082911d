//! An agent is back: what must be known before its jobs go on, and how they do. An agent is cut off: what is said of it.

use std::collections::HashMap;
use std::sync::Arc;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AgentId, Attempt, Epoch, JobId};
use inkwire_protocol::job::{Event, State};
use serde_json::{Value, json};

use super::dispatcher::Dispatcher;
use super::input::{Done, Input, Mark, Wish};
use super::on_return;
use super::rules;
use super::transition::Note;
use super::views;
use crate::sessions::link::{Cut, Sent, SessionCommand};
use crate::store::{Change, JobRow, PrinterRow};

impl Dispatcher {
    /// The open jobs of a returning agent are known: whatever was cut off goes on.
    pub(super) fn opened(
        &mut self,
        agent: AgentId,
        epoch: Epoch,
        rows: Vec<JobRow>,
        printers: Vec<PrinterRow>,
    ) {
        let Some(live) = self.agents.get_mut(&agent).filter(|live| live.epoch == epoch) else { return };
        live.loading = false;
        self.apply_policies(agent, &printers);
        self.set_printers(agent, printers);
        // What memory holds is newer than what was read, while its commit is on its way.
        let rows: Vec<JobRow> = rows
            .into_iter()
            .map(|row| match self.jobs.get(&row.job.id).and_then(|entry| entry.row.as_ref()) {
                Some(known) if known.job.rev > row.job.rev => known.clone(),
                Some(_) | None => row,
            })
            .collect();
        for row in &rows {
            self.jobs.entry(row.job.id).or_default().row = Some(row.clone());
            if let Some(line) = self.line(agent, row.job.printer) {
                line.note(row);
            }
        }
        self.take_up(agent);
    }

    /// What the printers' policies make of jobs that waited while the agent was away; their queues wait for it.
    fn apply_policies(&mut self, agent: AgentId, printers: &[PrinterRow]) {
        let Some(live) = self.agents.get(&agent) else { return };
        let (back_ms, absent_ms) = (live.back_ms, live.absent_ms);
        for row in printers.iter().filter(|row| on_return::applies(row.settings.on_return, absent_ms)) {
            if !self.returning.insert(row.id) {
                continue;
            }
            let (account, printer, policy) = (row.account, row.id, row.settings.on_return);
            let store = Arc::clone(&self.store);
            self.spawn(async move {
                on_return::apply(&store, account, printer, policy, back_ms).await;
                Done::Returned { agent, printer }
            });
        }
    }

    /// The agent's ledger was repeated, as far as it had to be. It says so in every session.
    pub(super) fn reconciled(&mut self, agent: AgentId, epoch: Epoch) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        live.said_reconciled = true;
        if live.reconciling && !live.lost_both() {
            let store_epoch = live.store_epoch;
            self.mark(agent, epoch, Mark::Reconciled, vec![Change::Reconciled { agent, store_epoch }]);
        } else {
            self.take_up(agent);
            self.offer_unlisted(agent);
        }
    }

    /// An agent's jobs go on, once in a session, when all that must be known before is known. Where its spool was lost they are told
    /// so, after every outcome that its ledger still knows.
    fn take_up(&mut self, agent: AgentId) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        let both = live.lost_both();
        let unheard = (live.reconciling && !both) || (live.spool_lost && !live.said_reconciled);
        if live.loading || live.taken_up || unheard {
            return;
        }
        live.taken_up = true;
        let (lost, epoch) = (live.spool_lost, live.epoch);
        if both {
            let store = Arc::clone(&self.store);
            return self.spawn(async move {
                Done::Losing { agent, epoch, found: store.agent_unended_jobs(agent).await }
            });
        }
        let theirs = |row: &&JobRow| row.job.agent == agent && row.job.state != State::Pending;
        let rows: Vec<JobRow> =
            self.jobs.values().filter_map(|entry| entry.row.as_ref()).filter(theirs).cloned().collect();
        if lost {
            self.lose_spool(agent, rows);
        } else {
            self.resume(agent, &rows);
            self.drop_strangers(agent, &rows);
        }
        if self.agents.get(&agent).is_some_and(|live| live.said_reconciled) {
            self.offer_unlisted(agent);
        }
        self.dispatch_all(agent);
    }

    /// Offers again what the agent does not list. Its facts were said before: those that are still being committed go first.
    fn offer_unlisted(&mut self, agent: AgentId) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        for (job, attempt) in std::mem::take(&mut live.unlisted) {
            let row = self.jobs.get(&job).and_then(|entry| entry.row.clone());
            if let Some(row) = row {
                self.input_to(row, Input { wish: Wish::OfferAgain { attempt }, reply: None });
            }
        }
    }

    /// The spool is gone: nobody knows what became of jobs that could be printed, the others begin again. Where the store is a restored
    /// copy as well, those of before may have been printed since the copy was made, whatever the store thinks.
    pub(super) fn lose_spool(&mut self, agent: AgentId, rows: Vec<JobRow>) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        let both_up_to = if live.lost_both() { live.restored_jobs } else { 0 };
        live.losing = rows.iter().map(|row| row.job.id).collect();
        live.losing.insert(JobId::from_uuid(uuid::Uuid::nil()));
        for row in rows {
            let (event, note) = if row.job.number <= both_up_to {
                let words = "the broker's store was restored from a backup and the agent's spool is lost: it may have been \
                             printed after the backup was made";
                (Event::BothLost, Note::because("store-and-spool-lost", words))
            } else {
                let note = Note::because("spool-lost", "the agent's spool is gone or older than it was");
                (Event::SpoolLost, note)
            };
            self.input_to(row, Input::events(vec![event], note));
        }
        self.spool_loss_of(agent, JobId::from_uuid(uuid::Uuid::nil()));
    }

    /// One job was told that its agent's spool is lost, and has moved or has not.
    pub(super) fn spool_loss_told(&mut self, row: &JobRow) {
        self.spool_loss_of(row.job.agent, row.job.id);
    }

    fn spool_loss_of(&mut self, agent: AgentId, job: JobId) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        if live.losing.remove(&job) && live.losing.is_empty() {
            let (epoch, store_epoch, both) = (live.epoch, live.store_epoch, live.lost_both());
            let handled = Change::SpoolLossHandled { agent, epoch };
            if both {
                // Together: a broker that dies here must not forget the one loss while it remembers the other.
                let changes = vec![handled, Change::Reconciled { agent, store_epoch }];
                self.mark(agent, epoch, Mark::BothLossesHandled, changes);
            } else {
                self.mark(agent, epoch, Mark::SpoolLossHandled, vec![handled]);
            }
        }
    }

    pub(super) fn resume_at(&mut self, row: &JobRow, next_seq: u32) {
        self.tell_resumed(row, next_seq);
        self.open(row, next_seq);
    }

    /// Takes up transfers that were cut, notes what the agent does not list, and repeats requests.
    fn resume(&mut self, agent: AgentId, rows: &[JobRow]) {
        for row in rows {
            let Some(live) = self.agents.get_mut(&agent) else { return };
            let (job, attempt) = (row.job.id, row.job.attempt);
            let held = live.held.get(&(job, attempt)).filter(|held| held.packet_bytes == row.packet_bytes);
            match held.map(|held| held.next_seq) {
                Some(next_seq) if rules::is_arriving(&row.job) => self.resume_at(row, next_seq),
                None if row.job.state == State::Sending => live.unlisted.push((job, attempt)),
                Some(_) | None => {}
            }
            if let Some(request) = row.job.request {
                self.tell(agent, SessionCommand::Request { job, attempt, request });
            }
        }
    }

    /// What the agent holds of attempts that are over is thrown away.
    fn drop_strangers(&mut self, agent: AgentId, rows: &[JobRow]) {
        let sending: HashMap<(JobId, Attempt), u32> = rows
            .iter()
            .filter(|row| rules::is_arriving(&row.job))
            .map(|row| ((row.job.id, row.job.attempt), row.packet_bytes))
            .collect();
        let Some(live) = self.agents.get(&agent) else { return };
        let strangers: Vec<_> = live
            .held
            .values()
            .filter(|held| sending.get(&(held.job, held.attempt)) != Some(&held.packet_bytes))
            .map(|held| (held.job, held.attempt))
            .collect();
        for (job, attempt) in strangers {
            self.tell(agent, SessionCommand::Drop { job, attempt, reason: "this attempt is over" });
        }
    }

    pub(super) fn marked(&mut self, agent: AgentId, epoch: Epoch, mark: Mark) {
        let Some(live) = self.agents.get_mut(&agent).filter(|live| live.epoch == epoch) else { return };
        match mark {
            Mark::Reconciled => {
                live.reconciling = false;
                self.views.with_agent(agent, |view| view.reconciling = false);
                self.take_up(agent);
            }
            Mark::SpoolLossHandled => live.spool_lost = false,
            Mark::BothLossesHandled => {
                (live.reconciling, live.spool_lost) = (false, false);
                self.views.with_agent(agent, |view| view.reconciling = false);
            }
        }
        self.dispatch_all(agent);
    }

    fn mark(&self, agent: AgentId, epoch: Epoch, what: Mark, changes: Vec<Change>) {
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let result = store.commit(changes).await;
            Done::Marked { agent, epoch, what, result }
        });
    }

    /// Its link is gone: what was being sent says so, and waits in its state.
    pub(super) fn cut(&mut self, agent: AgentId, reason: CloseCode, cut: Vec<Cut>) {
        for Cut { job, attempt, sent } in cut {
            self.note_sent(job, attempt, sent);
        }
        let sending = |row: &&JobRow| row.job.agent == agent && row.job.state == State::Sending;
        let rows: Vec<JobRow> =
            self.jobs.values().filter_map(|entry| entry.row.as_ref()).filter(sending).cloned().collect();
        for row in rows {
            let why = views::link_lost();
            let Value::Object(data) = json!({ "close": reason.name() }) else { continue };
            let note = Note::telling("job.cut", Some(why), data);
            self.input_to(row.clone(), Input::of_attempt(row.job.attempt, vec![], note));
        }
    }

    pub(super) fn note_sent(&mut self, job: JobId, attempt: Attempt, sent: Sent) {
        if let Some(tally) = self.tallies.get_mut(&job).filter(|tally| tally.attempt == attempt) {
            tally.note(sent);
        }
    }

    /// A transfer that was cut goes on: told once, with what the cut has cost.
    fn tell_resumed(&mut self, row: &JobRow, next_seq: u32) {
        let Some(live) = self.agents.get(&row.job.agent) else { return };
        let tally = self.tallies.get(&row.job.id).filter(|tally| tally.attempt == row.job.attempt);
        let again = tally.map_or(0, |tally| tally.again_from(next_seq));
        self.views.counts.sent_twice(again);
        let data = json!({
            "next_seq": next_seq,
            "sent_twice": again,
            "endpoint": live.observed,
            "epoch": live.epoch,
        });
        let Value::Object(data) = data else { return };
        let note = Note::telling("job.resumed", None, data);
        self.input_to(row.clone(), Input::of_attempt(row.job.attempt, vec![], note));
    }
}
