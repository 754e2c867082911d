//! Agents come and go: what follows from their sessions' events, and what is sent to them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AgentId, Attempt, Epoch, JobId, PrinterId};
use inkwire_protocol::job::{Event, State};
use inkwire_protocol::limits::MAX_OPEN_TRANSFERS;
use inkwire_protocol::message::{FactMessage, RefuseReason};
use serde_json::{Value, json};

use super::dispatcher::{Dispatcher, Live};
use super::input::{Done, Input, Mark, Wish};
use super::line::{HEADS, Line};
use super::rules::{self, Verdict};
use super::transition::Note;
use super::views::{self, AgentView, Progress};
use crate::clock::now_ms;
use crate::sessions::link::{Cut, Online, Sent, SessionCommand, SessionEvent, What};
use crate::store::{Change, JobRow, PrinterRow};

/// Commands that wait for a session that does not read: acks of facts and opens of every transfer it may have, and some.
const BACKLOG: usize = 16 * MAX_OPEN_TRANSFERS;

impl Dispatcher {
    pub(super) fn on_session(&mut self, event: SessionEvent) {
        let SessionEvent { agent, epoch, what } = event;
        // Facts are true in any epoch; everything else only in the live one.
        let current = self.agents.get(&agent).is_some_and(|live| live.epoch == epoch);
        if !current && !matches!(what, What::Online(_) | What::Fact(_)) {
            return;
        }
        match what {
            What::Online(online) => self.online(agent, epoch, *online),
            What::Fact(message) => self.fact(agent, message),
            What::PermitWanted { job, attempt } => {
                self.of_agent(
                    agent,
                    job,
                    Input::of_attempt(attempt, vec![Event::Permit { attempt }], Note::default()),
                );
            }
            What::Received { job, attempt, bytes, sent } => {
                self.note_sent(job, attempt, sent);
                self.note_progress(job, attempt, |progress| progress.received_bytes = bytes);
            }
            What::Delivered { job, attempt, bytes } => {
                self.note_progress(job, attempt, |progress| progress.delivered_bytes = bytes);
            }
            What::Refused { job, attempt, reason, detail } => {
                self.refused(agent, job, attempt, reason, detail.as_deref())
            }
            What::SourceFailed { job, attempt, error } => {
                tracing::error!(%job, error, "a document cannot be delivered");
                self.of_agent(agent, job, Input { wish: Wish::SourceFailed { attempt, error }, reply: None });
            }
            What::Reconciled => self.reconciled(agent, epoch),
            What::Printers(printers) => {
                tracing::debug!(%agent, printers = printers.len(), "printers changed");
                let store = Arc::clone(&self.store);
                self.spawn(async move {
                    Done::Printers { agent, epoch, found: store.agent_printers(agent).await }
                });
            }
            What::Silent(silent) => self.views.with_agent(agent, |view| view.silent = silent),
            What::Offline { reason, cut } => {
                tracing::debug!(%agent, reason = reason.name(), "its jobs wait");
                self.cut(agent, reason, cut);
                self.offline(agent);
            }
        }
    }

    fn online(&mut self, agent: AgentId, epoch: Epoch, online: Online) {
        if self.agents.get(&agent).is_some_and(|live| live.epoch > epoch) {
            return;
        }
        tracing::debug!(%agent, printers = online.printers.len(), held = online.held.len(), "its jobs go on");
        self.offline(agent);
        let held = online.held.into_iter().map(|held| ((held.job, held.attempt), held)).collect();
        let live = Live {
            epoch,
            commands: online.commands,
            backlog: VecDeque::new(),
            loading: true,
            reconciling: online.reconciling,
            spool_lost: online.spool_lost,
            said_reconciled: false,
            taken_up: false,
            store_epoch: online.store_epoch,
            observed: online.observed,
            held,
            losing: HashSet::new(),
            lines: HashMap::new(),
        };
        self.agents.insert(agent, live);
        self.views.set_agent(agent, AgentView { reconciling: online.reconciling, ..AgentView::default() });
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let found =
                async { Ok((store.agent_open_jobs(agent).await?, store.agent_printers(agent).await?)) };
            Done::Open { agent, epoch, found: found.await }
        });
    }

    /// Its link is gone: what was being sent says so, and waits in its state.
    fn cut(&mut self, agent: AgentId, reason: CloseCode, cut: Vec<Cut>) {
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

    fn note_sent(&mut self, job: JobId, attempt: Attempt, sent: Sent) {
        if let Some(tally) = self.tallies.get_mut(&job).filter(|tally| tally.attempt == attempt) {
            tally.note(sent);
        }
    }

    /// A transfer that was cut goes on: told once, with what the cut has cost.
    fn tell_resumed(&mut self, row: &JobRow, next_seq: u32) {
        let Some(live) = self.agents.get(&row.job.agent) else { return };
        let tally = self.tallies.get(&row.job.id).filter(|tally| tally.attempt == row.job.attempt);
        let data = json!({
            "next_seq": next_seq,
            "sent_twice": tally.map_or(0, |tally| tally.again_from(next_seq)),
            "endpoint": live.observed,
            "epoch": live.epoch,
        });
        let Value::Object(data) = data else { return };
        let note = Note::telling("job.resumed", None, data);
        self.input_to(row.clone(), Input::of_attempt(row.job.attempt, vec![], note));
    }

    fn offline(&mut self, agent: AgentId) {
        let Some(live) = self.agents.remove(&agent) else { return };
        self.views.remove_agent(agent);
        let mut of_agent: Vec<JobId> = live.lines.values().flat_map(Line::queued).collect();
        let theirs = |row: &JobRow| row.job.agent == agent;
        of_agent
            .extend(self.jobs.iter().filter(|(_, e)| e.row.as_ref().is_some_and(theirs)).map(|(id, _)| *id));
        for job in of_agent {
            self.forget_if_idle(job);
        }
    }

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

    /// The agent's ledger was repeated, as far as it had to be. It says so in every session.
    fn reconciled(&mut self, agent: AgentId, epoch: Epoch) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        live.said_reconciled = true;
        if live.reconciling {
            let store_epoch = live.store_epoch;
            self.mark(agent, epoch, Mark::Reconciled, Change::Reconciled { agent, store_epoch });
        } else {
            self.take_up(agent);
        }
    }

    /// An agent's jobs go on, once in a session, when all that must be known before is known. Where its spool was lost they are told
    /// so, after every outcome that its ledger still knows.
    fn take_up(&mut self, agent: AgentId) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        if live.loading || live.reconciling || live.taken_up || (live.spool_lost && !live.said_reconciled) {
            return;
        }
        live.taken_up = true;
        let lost = live.spool_lost;
        let theirs = |row: &&JobRow| row.job.agent == agent && row.job.state != State::Pending;
        let rows: Vec<JobRow> =
            self.jobs.values().filter_map(|entry| entry.row.as_ref()).filter(theirs).cloned().collect();
        if lost {
            self.lose_spool(agent, rows);
        } else {
            self.resume(agent, &rows);
            self.drop_strangers(agent, &rows);
        }
        self.dispatch_all(agent);
    }

    /// The spool is gone: nobody knows what became of jobs that could be printed, the others begin again.
    fn lose_spool(&mut self, agent: AgentId, rows: Vec<JobRow>) {
        if let Some(live) = self.agents.get_mut(&agent) {
            live.losing = rows.iter().map(|row| row.job.id).collect();
            live.losing.insert(JobId::from_uuid(uuid::Uuid::nil()));
        }
        for row in rows {
            let note = Note::because("spool-lost", "the agent's spool is gone or older than it was");
            self.input_to(row, Input::events(vec![Event::SpoolLost], note));
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
            let epoch = live.epoch;
            self.mark(agent, epoch, Mark::SpoolLossHandled, Change::SpoolLossHandled { agent, epoch });
        }
    }

    /// Takes up transfers that were cut, offers again what the agent does not list, and repeats requests.
    fn resume(&mut self, agent: AgentId, rows: &[JobRow]) {
        for row in rows {
            let Some(live) = self.agents.get(&agent) else { return };
            let (job, attempt) = (row.job.id, row.job.attempt);
            let held = live.held.get(&(job, attempt)).filter(|held| held.packet_bytes == row.packet_bytes);
            let next_seq = match held {
                Some(held) => rules::is_arriving(&row.job).then_some(held.next_seq),
                None => (row.job.state == State::Sending).then_some(0),
            };
            if let Some(next_seq) = next_seq {
                self.tell_resumed(row, next_seq);
                self.open(row, next_seq);
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
        }
        self.dispatch_all(agent);
    }

    fn mark(&self, agent: AgentId, epoch: Epoch, what: Mark, change: Change) {
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let result = store.commit(vec![change]).await;
            Done::Marked { agent, epoch, what, result }
        });
    }

    pub(super) fn set_printers(&mut self, agent: AgentId, printers: Vec<PrinterRow>) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        let mut states = HashMap::new();
        for row in printers {
            let line = live.lines.entry(row.id).or_insert_with(|| Line::new(row.present));
            line.present = row.present;
            if row.present {
                states.insert(row.id, (row.info.state, row.info.state_reasons.into_iter().next()));
            }
        }
        self.views.with_agent(agent, |view| view.printers = states);
    }

    fn fact(&mut self, agent: AgentId, message: Box<FactMessage>) {
        self.of_agent(agent, message.job, Input { wish: Wish::Fact { agent, message }, reply: None });
    }

    fn of_agent(&mut self, agent: AgentId, job: JobId, input: Input) {
        let store = Arc::clone(&self.store);
        self.input(job, input, || async move {
            Done::Loaded { job, row: store.agent_job(agent, job).await.map(|row| row.map(Box::new)) }
        });
    }

    fn note_progress(&mut self, job: JobId, attempt: Attempt, change: impl FnOnce(&mut Progress)) {
        let Some(row) = self.jobs.get(&job).and_then(|entry| entry.row.as_ref()) else { return };
        if row.job.attempt != attempt {
            return;
        }
        let shown = self.views.present(row.clone());
        let mut progress = Progress {
            attempt,
            received_bytes: shown.received_bytes,
            delivered_bytes: shown.delivered_bytes,
        };
        change(&mut progress);
        self.views.set_progress(job, progress);
        let told = inkwire_protocol::app::JobProgress {
            job,
            received_bytes: progress.received_bytes,
            delivered_bytes: progress.delivered_bytes,
        };
        // Nobody listening is fine.
        drop(self.progress.send((row.account, told)));
    }

    fn refused(
        &mut self,
        agent: AgentId,
        job: JobId,
        attempt: Attempt,
        reason: RefuseReason,
        detail: Option<&str>,
    ) {
        let (events, reason) = match rules::on_refusal(reason, detail) {
            Verdict::FactsFollow => return,
            Verdict::EarlierFirst(reason) => {
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.waits_for_earlier = Some(attempt);
                }
                let note = Note { reason: Some(reason), ..Note::default() };
                return self.of_agent(agent, job, Input::of_attempt(attempt, vec![], note));
            }
            Verdict::Later(reason) => (vec![Event::Refused { attempt }], reason),
            Verdict::Never(reason) => (vec![Event::Refused { attempt }, Event::Abort], reason),
        };
        let printer = self.jobs.get(&job).and_then(|entry| entry.row.as_ref()).map(|row| row.job.printer);
        if let Some(printer) = printer.filter(|_| events.len() == 1)
            && let Some(line) = self.line(agent, printer)
        {
            line.refusals += 1;
            let wait = rules::back_off(line.refusals);
            line.not_before_ms = now_ms() + wait.as_millis() as u64;
            self.spawn(async move {
                tokio::time::sleep(wait).await;
                Done::Retry { agent, printer }
            });
        }
        let note = Note { reason: Some(reason), ..Note::default() };
        self.of_agent(agent, job, Input::of_attempt(attempt, events, note));
    }

    pub(super) fn line(&mut self, agent: AgentId, printer: PrinterId) -> Option<&mut Line> {
        self.agents.get_mut(&agent)?.lines.get_mut(&printer)
    }

    pub(super) fn dispatch_all(&mut self, agent: AgentId) {
        let lines = self.agents.get(&agent).map(|live| live.lines.keys().copied().collect::<Vec<_>>());
        for printer in lines.unwrap_or_default() {
            self.dispatch(agent, printer);
        }
    }

    /// Begins whatever may be sent to a printer now.
    pub(super) fn dispatch(&mut self, agent: AgentId, printer: PrinterId) {
        loop {
            let Some(live) = self.agents.get_mut(&agent) else { return };
            if live.loading || live.reconciling || live.spool_lost || live.is_of_old_store(&self.store) {
                return;
            }
            let epoch = live.epoch;
            let Some(line) = live.lines.get_mut(&printer) else { return };
            if !line.present {
                return;
            }
            if line.not_before_ms > now_ms() {
                return self.set_full(agent, printer, true);
            }
            let Some(job) = line.head() else {
                if line.wants_refill() {
                    line.loading = true;
                    self.refill(agent, epoch, printer);
                }
                return self.set_full(agent, printer, false);
            };
            let row = self.jobs.get(&job).and_then(|entry| entry.row.as_ref());
            let Some(row) = row.filter(|row| row.job.state == State::Pending) else {
                line.pop();
                continue;
            };
            if !line.admits(row.job.bytes) {
                return self.set_full(agent, printer, true);
            }
            line.reserve(job, row.job.bytes);
            line.pop();
            let row = row.clone();
            self.input_to(row, Input { wish: Wish::Send, reply: None });
        }
    }

    /// Whether jobs of this printer wait for others; shown as their reason.
    fn set_full(&mut self, agent: AgentId, printer: PrinterId, full: bool) {
        let Some(line) = self.line(agent, printer) else { return };
        if std::mem::replace(&mut line.full, full) != full {
            self.views.with_agent(agent, |view| match full {
                true => drop(view.full.insert(printer)),
                false => drop(view.full.remove(&printer)),
            });
        }
    }

    fn refill(&self, agent: AgentId, epoch: Epoch, printer: PrinterId) {
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let found = store.pending_heads(printer, HEADS as u32).await;
            Done::Heads { printer, agent, epoch, found }
        });
    }

    /// Sends a command to the agent's session, if it has one; in order, also while the session is slow.
    pub(super) fn tell(&mut self, agent: AgentId, command: SessionCommand) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        if live.backlog.is_empty() {
            use tokio::sync::mpsc::error::TrySendError;
            match live.commands.try_send(command) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(command)) => live.backlog.push_back(command),
            }
            let (commands, epoch) = (live.commands.clone(), live.epoch);
            return self.spawn(async move {
                Done::Room { agent, epoch, permit: commands.reserve_owned().await.ok() }
            });
        }
        live.backlog.push_back(command);
        if live.backlog.len() > BACKLOG {
            tracing::warn!(%agent, "the session does not take its commands: it is closed");
            live.backlog.clear();
            live.backlog.push_back(SessionCommand::Close {
                code: CloseCode::Slow,
                detail: "the agent does not read what is sent to it",
            });
        }
    }

    pub(super) fn room(
        &mut self,
        agent: AgentId,
        epoch: Epoch,
        permit: tokio::sync::mpsc::OwnedPermit<SessionCommand>,
    ) {
        let Some(live) = self.agents.get_mut(&agent).filter(|live| live.epoch == epoch) else { return };
        if let Some(command) = live.backlog.pop_front() {
            permit.send(command);
        }
        while let Some(command) = live.backlog.pop_front() {
            use tokio::sync::mpsc::error::TrySendError;
            match live.commands.try_send(command) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(command)) => {
                    live.backlog.push_front(command);
                    let commands = live.commands.clone();
                    return self.spawn(async move {
                        Done::Room { agent, epoch, permit: commands.reserve_owned().await.ok() }
                    });
                }
            }
        }
    }
}
