//! The one task that moves jobs: step, commit, and only then whatever follows.
//!
//! What it holds in memory is a cache of rows: the heads of live printers' queues and what live agents have. Inputs of one
//! job are taken one after the other; while one's commit is on its way the next ones wait. Many jobs commit at once, and
//! the store gathers them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use inkwire_protocol::app::{JobProgress, ProblemKind};
use inkwire_protocol::ids::{AccountId, AgentId, Attempt, Epoch, JobId, PrinterId, StoreEpoch};
use inkwire_protocol::job::{Decision, Event};
use inkwire_protocol::message::HeldTransfer;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::input::{Command, Done, Input, Many};
use super::line::Line;
use super::rules;
use super::tally::Tally;
use super::transition::Note;
use super::views::Views;
use crate::clock::now_ms;
use crate::documents::{Documents, Source};
use crate::limits::GATHER_FACTS;
use crate::sessions::counters::Counters;
use crate::sessions::link::{SessionCommand, SessionEvent};
use crate::sessions::mailbox::Mailbox;
use crate::store::{JobRow, SharedStore};

/// Jobs that expire at once are taken in runs of this many.
pub(super) const EXPIRY_RUN: u32 = 256;
/// Clocks are set: expiry is looked at again at least this often.
const EXPIRY_AT_LEAST: Duration = Duration::from_secs(3600);

/// A job in memory.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// None while it is looked for.
    pub(super) row: Option<JobRow>,
    pub(super) source: Option<Arc<Source>>,
    /// Where its transfer begins once the source is at hand.
    pub(super) next_seq: u32,
    /// The attempt that was refused because an earlier one is with the device.
    pub(super) waits_for_earlier: Option<Attempt>,
    /// Its commit, or a look into the store, is on its way.
    pub(super) busy: bool,
    pub(super) waiting: VecDeque<Input>,
    /// What waits has waited for more; see [`GATHER_FACTS`].
    pub(super) gathered: bool,
    /// It will be said to have.
    pub(super) gathering: bool,
}

/// A live session, as the dispatcher sees it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) epoch: Epoch,
    pub(super) commands: Mailbox,
    /// It does not take its commands, and is being ended.
    pub(super) slow: bool,
    /// Its open jobs are not looked at yet.
    pub(super) loading: bool,
    pub(super) reconciling: bool,
    pub(super) spool_lost: bool,
    /// Jobs up to this number are older than the store's incarnation.
    pub(super) restored_jobs: u64,
    /// It has said `reconciled`: every fact that it had to repeat was heard.
    pub(super) said_reconciled: bool,
    /// Its jobs go on.
    pub(super) taken_up: bool,
    /// The incarnation of the store that it was told.
    pub(super) store_epoch: StoreEpoch,
    pub(super) observed: SocketAddr,
    /// When it was back, and how long it was away before, where that is known.
    pub(super) back_ms: u64,
    pub(super) absent_ms: Option<u64>,
    /// What it holds partly, until its jobs are loaded.
    pub(super) held: HashMap<(JobId, Attempt), HeldTransfer>,
    /// What is being sent and the agent does not list: offered again when its facts were heard, which may say that all of it came.
    pub(super) unlisted: Vec<(JobId, Attempt)>,
    /// Jobs that still have to be told that its spool was lost.
    pub(super) losing: HashSet<JobId>,
    pub(super) lines: HashMap<PrinterId, Line>,
}

impl Live {
    /// The store is a restored copy whose gap this agent's ledger should have filled, and its spool is lost: for older jobs both
    /// memories are gone.
    pub(super) fn lost_both(&self) -> bool {
        self.reconciling && self.spool_lost && self.restored_jobs > 0
    }

    /// The store turned out to be a restored copy after this session had begun. It is about to be closed; nothing is sent on it.
    pub(super) fn is_of_old_store(&self, store: &SharedStore) -> bool {
        self.store_epoch != store.store_epoch()
    }
}

pub(super) struct Dispatcher {
    pub(super) store: SharedStore,
    pub(super) documents: Documents,
    pub(super) counters: Arc<Counters>,
    pub(super) views: Arc<Views>,
    pub(super) progress: broadcast::Sender<(AccountId, JobProgress)>,
    pub(super) agents: HashMap<AgentId, Live>,
    pub(super) jobs: HashMap<JobId, Entry>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Packets of what is being sent, also while its agent is away.
    pub(super) tallies: HashMap<JobId, Tally>,
    /// Printers whose policy for returning agents is being applied: nothing is sent to them meanwhile.
    pub(super) returning: HashSet<PrinterId>,
    pub(super) next_expiry_ms: Option<u64>,
    pub(super) expiring: bool,
    /// Jobs whose facts wait for more, and until when.
    pub(super) gathering: VecDeque<(Instant, JobId)>,
}

impl Dispatcher {
    /// Runs until it is told to stop and every commit is answered, or until the API's handles are gone.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::Receiver<SessionEvent>,
        stop: CancellationToken,
    ) {
        self.look_for_leftovers();
        loop {
            let timer = tokio::time::sleep(self.until_expiry());
            let gathered = self.gathering.front().map(|(until, _)| *until);
            tokio::select! {
                biased;
                Some(done) = self.work.next(), if !self.work.is_empty() => self.on_done(done),
                Some(event) = events.recv() => self.on_session(event),
                Some(command) = commands.recv() => self.on_command(command),
                () = timer => self.look_for_expired(),
                () = until(gathered), if gathered.is_some() => self.gathered(),
                () = stop.cancelled() => break,
            }
        }
        // What is on its way is committed or not; either way its caller is told.
        while let Some(done) = self.work.next().await {
            if let Done::Committed { .. } | Done::Made(_) = done {
                self.on_done(done);
            }
        }
    }

    /// Lets facts of a job wait for more of them.
    pub(super) fn gather(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        if !std::mem::replace(&mut entry.gathering, true) {
            self.gathering.push_back((Instant::now() + GATHER_FACTS, job));
        }
    }

    fn gathered(&mut self) {
        let now = Instant::now();
        while let Some((_, job)) = self.gathering.pop_front_if(|(until, _)| *until <= now) {
            if let Some(entry) = self.jobs.get_mut(&job) {
                (entry.gathering, entry.gathered) = (false, true);
                self.turn(job);
            }
        }
    }

    pub(super) fn spawn(&self, work: impl Future<Output = Done> + Send + 'static) {
        self.work.push(Box::pin(work));
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Make(newcomer) => self.make(*newcomer),
            Command::Ask { account, job, input } => {
                let input = *input;
                let known = self.jobs.get(&job).and_then(|entry| entry.row.as_ref());
                if known.is_some_and(|row| row.account != account) {
                    return answer(input, Err(ProblemKind::NotFound.because("no such job")));
                }
                let store = Arc::clone(&self.store);
                self.input(job, input, || async move {
                    Done::Loaded { job, row: store.job(account, job).await.map(|row| row.map(Box::new)) }
                });
            }
            Command::PrintersChanged { agent } => self.reload_printers(agent),
            Command::AgentRevoked { agent } => {
                if let Some(live) = self.agents.get_mut(&agent) {
                    live.lines.clear();
                }
                let code = inkwire_protocol::close::CloseCode::Revoked;
                self.tell(agent, SessionCommand::Close { code, detail: "the agent was revoked" });
                self.lose_agent(agent);
            }
        }
    }

    /// Every job of an agent that is gone for good learns it.
    pub(super) fn lose_agent(&self, agent: AgentId) {
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            Done::Many { found: store.agent_unended_jobs(agent).await, event: Many::AgentLost }
        });
    }

    /// A pending job goes into its printer's queue, if its agent is there and it is among the heads.
    pub(super) fn enqueue(&mut self, row: JobRow, source: Option<Arc<Source>>) {
        let (id, agent, printer) = (row.job.id, row.job.agent, row.job.printer);
        let line = self.agents.get_mut(&agent).and_then(|live| live.lines.get_mut(&printer));
        let taken = line.is_some_and(|line| line.push(&row));
        if taken {
            let entry = self.jobs.entry(id).or_default();
            if entry.source.is_none() {
                entry.source = source;
            }
            if entry.row.as_ref().is_none_or(|known| known.job.rev <= row.job.rev) {
                entry.row = Some(row);
            }
            self.trim(agent, printer);
            self.dispatch(agent, printer);
        } else {
            self.forget_if_idle(id);
        }
    }

    fn trim(&mut self, agent: AgentId, printer: PrinterId) {
        let line = self.agents.get_mut(&agent).and_then(|live| live.lines.get_mut(&printer));
        for cut in line.map(Line::trim).unwrap_or_default() {
            self.forget_if_idle(cut);
        }
    }

    /// Gives an input to its job, which is looked for where it is not in memory.
    pub(super) fn input<F, W>(&mut self, job: JobId, input: Input, look: F)
    where
        F: FnOnce() -> W,
        W: Future<Output = Done> + Send + 'static,
    {
        let entry = self.jobs.entry(job).or_default();
        entry.waiting.push_back(input);
        if entry.busy {
            return;
        }
        if entry.row.is_none() {
            entry.busy = true;
            let work = look();
            self.spawn(work);
        } else {
            self.turn(job);
        }
    }

    /// Gives an input to a job whose row is at hand.
    pub(super) fn input_to(&mut self, row: JobRow, input: Input) {
        let id = row.job.id;
        let entry = self.jobs.entry(id).or_default();
        if entry.row.is_none() {
            entry.row = Some(row);
        }
        entry.waiting.push_back(input);
        self.turn(id);
    }

    /// Drops a job from memory that nothing holds there.
    pub(super) fn forget_if_idle(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else { return };
        if !entry.busy && entry.waiting.is_empty() {
            self.jobs.remove(&job);
        }
    }

    fn until_expiry(&self) -> Duration {
        match self.next_expiry_ms {
            _ if self.expiring => EXPIRY_AT_LEAST,
            Some(next) => Duration::from_millis(next.saturating_sub(now_ms())).min(EXPIRY_AT_LEAST),
            None => EXPIRY_AT_LEAST,
        }
    }

    pub(super) fn look_for_expired(&mut self) {
        if !std::mem::replace(&mut self.expiring, true) {
            let store = Arc::clone(&self.store);
            self.spawn(async move { Done::Expiring { found: store.expiring(now_ms(), EXPIRY_RUN).await } });
        }
    }

    /// What a stop or a crash left undone.
    fn look_for_leftovers(&mut self) {
        self.look_for_expired();
        let store = Arc::clone(&self.store);
        self.spawn(async move { Done::Many { found: store.undecided(u32::MAX).await, event: Many::Decide } });
        let store = Arc::clone(&self.store);
        self.spawn(async move { Done::Many { found: store.orphaned_jobs().await, event: Many::AgentLost } });
    }

    pub(super) fn many(&mut self, rows: Vec<JobRow>, event: Many) {
        for row in rows {
            let (events, note) = match event {
                Many::AgentLost => {
                    let note = Note::because("agent-lost", "its agent was revoked");
                    let more = rules::policy(row.job.on_uncertain, row.job.attempt, true).map(Event::Decide);
                    (std::iter::once(Event::AgentLost).chain(more).collect(), note)
                }
                Many::Decide => match rules::policy(row.job.on_uncertain, row.job.attempt, false) {
                    Some(decision) => (vec![Event::Decide(decision)], by_policy(decision)),
                    None => continue,
                },
            };
            self.input_to(row, Input::events(events, note));
        }
    }
}

/// Sleeps until then.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Why a policy's decision changed a job.
pub(super) fn by_policy(decision: Decision) -> Note {
    match decision {
        Decision::Reprint => {
            Note::because("uncertain-reprint", "the outcome was uncertain and the policy prints again")
        }
        Decision::Drop => {
            Note::because("uncertain-drop", "the outcome was uncertain and the policy leaves it")
        }
        Decision::Printed => Note::default(),
    }
}

/// Tells whoever asked.
pub(super) fn answer(
    input: Input,
    result: Result<inkwire_protocol::app::Job, inkwire_protocol::app::Problem>,
) {
    if let Some(reply) = input.reply {
        // Who asked may be gone.
        drop(reply.send(result));
    }
}
