//! What memory knows of jobs beside their rows: progress, and why a job waits. Written by the dispatcher, read by the API.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use inkwire_protocol::app::{Job, Reason};
use inkwire_protocol::ids::{AgentId, Attempt, JobId, PrinterId};
use inkwire_protocol::job::State;
use inkwire_protocol::printer::PrinterState;

use super::counts::JobCounts;
use super::transition::reason;
use crate::store::JobRow;

/// What is shared.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// Written by the dispatcher, read by the metrics.
    pub(super) counts: JobCounts,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    agents: HashMap<AgentId, AgentView>,
    progress: HashMap<JobId, Progress>,
}

/// A live agent.
#[derive(Debug, Default)]
pub(super) struct AgentView {
    pub(super) silent: bool,
    pub(super) reconciling: bool,
    /// State and first reason of those that are there.
    pub(super) printers: HashMap<PrinterId, (PrinterState, Option<String>)>,
    /// Printers whose next job has to wait for those before it.
    pub(super) full: HashSet<PrinterId>,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) attempt: Attempt,
    pub(super) received_bytes: u64,
    pub(super) delivered_bytes: u64,
}

impl Views {
    /// The agent is live, or seen differently.
    pub(super) fn set_agent(&self, agent: AgentId, view: AgentView) {
        self.write(|inner| inner.agents.insert(agent, view));
    }

    pub(super) fn with_agent(&self, agent: AgentId, change: impl FnOnce(&mut AgentView)) {
        self.write(|inner| inner.agents.get_mut(&agent).map(change));
    }

    pub(super) fn remove_agent(&self, agent: AgentId) {
        self.write(|inner| inner.agents.remove(&agent));
    }

    pub(super) fn set_progress(&self, job: JobId, progress: Progress) {
        self.write(|inner| inner.progress.insert(job, progress));
    }

    pub(super) fn forget(&self, job: JobId) {
        self.write(|inner| inner.progress.remove(&job));
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The job with its progress and the reason why it waits.
    pub(super) fn present(&self, row: JobRow) -> Job {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut job = row.job;
        if let Some(progress) = inner.progress.get(&job.id).filter(|progress| progress.attempt == job.attempt)
        {
            job.received_bytes = job.received_bytes.max(progress.received_bytes);
            job.delivered_bytes = job.delivered_bytes.max(progress.delivered_bytes);
        }
        if let Some(why) = waits_for(&job, inner.agents.get(&job.agent)) {
            job.reason = Some(why);
        }
        job
    }
}

/// Why a transfer that was cut waits.
pub(super) fn link_lost() -> Reason {
    reason("link-lost", "the link to its agent was lost; it goes on where it stopped when the agent is back")
}

/// Why a job waits, where memory knows better than its row.
fn waits_for(job: &Job, agent: Option<&AgentView>) -> Option<Reason> {
    let waits = job.state == State::Pending || job.state.is_with_agent();
    if !waits {
        return None;
    }
    let Some(agent) = agent else {
        if job.state == State::Sending {
            return Some(link_lost());
        }
        return Some(reason("agent-offline", "its agent has no session; it goes on when the agent is back"));
    };
    if agent.silent {
        return Some(reason("agent-silent", "its agent has not been heard for too long"));
    }
    if job.state != State::Pending || job.reason.is_some() {
        return None;
    }
    if agent.reconciling {
        return Some(reason("agent-reconciling", "its agent's ledger is compared with the store first"));
    }
    match agent.printers.get(&job.printer) {
        None => Some(reason(
            "printer-gone",
            "its agent has this printer no more; cancel the job or bring the printer back",
        )),
        Some((PrinterState::Stopped | PrinterState::Unreachable, why)) => {
            let code = why.as_deref().unwrap_or("printer-stopped");
            Some(reason(code, "the printer wants a human"))
        }
        Some((PrinterState::Idle | PrinterState::Processing | PrinterState::Unknown, _)) => {
            agent.full.contains(&job.printer).then(|| reason("queued", "jobs before it go first"))
        }
    }
}
