//! Agents come and go: what follows from their sessions' events, and what is sent to them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use inkwire_protocol::ids::{AgentId, Attempt, Epoch, JobId};
use inkwire_protocol::job::Event;
use inkwire_protocol::message::{FactMessage, RefuseReason};

use super::dispatcher::{Dispatcher, Live};
use super::input::{Done, Input, Wish};
use super::line::Line;
use super::rules::{self, Verdict};
use super::transition::Note;
use super::views::{AgentView, Progress};
use crate::clock::now_ms;
use crate::sessions::link::{Online, SessionEvent, What};
use crate::store::{JobRow, PrinterRow};

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
                self.reload_printers(agent);
            }
            What::Silent(silent) => self.views.with_agent(agent, |view| view.silent = silent),
            What::Offline { reason, cut } => {
                tracing::debug!(%agent, reason = reason.name(), "its jobs wait");
                self.cut(agent, reason, cut);
                self.offline(agent);
            }
        }
    }

    /// Reads an agent's printers anew: they changed, or what is set for them did.
    pub(super) fn reload_printers(&self, agent: AgentId) {
        let Some(live) = self.agents.get(&agent) else { return };
        let (epoch, store) = (live.epoch, Arc::clone(&self.store));
        self.spawn(async move { Done::Printers { agent, epoch, found: store.agent_printers(agent).await } });
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
            slow: false,
            loading: true,
            reconciling: online.reconciling,
            restored_jobs: online.restored_jobs,
            spool_lost: online.spool_lost,
            said_reconciled: false,
            taken_up: false,
            store_epoch: online.store_epoch,
            observed: online.observed,
            back_ms: now_ms(),
            absent_ms: online.absent_ms,
            held,
            unlisted: Vec::new(),
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

    pub(super) fn set_printers(&mut self, agent: AgentId, printers: Vec<PrinterRow>) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        let mut states = HashMap::new();
        for row in printers {
            let line = live.lines.entry(row.id).or_insert_with(|| Line::new(row.present));
            if row.present && !line.present {
                // It is back: what was refused for it need not wait any longer.
                (line.refusals, line.not_before_ms) = (0, 0);
            }
            line.present = row.present;
            line.pacing_bytes_s = row.settings.pacing_bytes_s;
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
}
