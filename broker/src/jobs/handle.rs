//! What the API asks of jobs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use inkwire_protocol::app::{Job, JobCreate, JobCreated, JobProgress, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, AgentId, JobId};
use inkwire_protocol::job::{Decision, Event};
use inkwire_protocol::message::clip;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::at_once::Newcomer;
use super::counts::JobCounts;
use super::dispatcher::Dispatcher;
use super::fetching::Fetching;
use super::input::{Command, Input, Wish};
use super::making::{Making, Submitter, job_of, new_job};
use super::problems::{draining, internal};
use super::retention::{self, Kept};
use super::submission::{self, Document};
use super::transition::Note;
use super::uploads::wants_upload;
use super::views::Views;
use crate::clock::now_ms;
use crate::documents::{Disk, Documents, Source};
use crate::outbound::{Outbound, OutboundError};
use crate::sessions::counters::Counters;
use crate::sessions::link::SessionEvent;
use crate::store::{
    Change, CommitError, Depth, DocumentContent, FetchRow, JobRow, PrinterRow, ReadError, SharedStore,
};

/// Commands that may wait for the dispatcher; more wait in their callers.
const COMMANDS: usize = 1024;
/// Progress that a slow subscriber may miss: the newest is what counts.
const PROGRESS: usize = 256;

/// The handle of the dispatcher; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    pub(super) store: SharedStore,
    pub(super) documents: Documents,
    pub(super) max_document_bytes: u64,
    fetching: Fetching,
    commands: mpsc::Sender<Command>,
    views: Arc<Views>,
    progress: broadcast::Sender<(AccountId, JobProgress)>,
}

/// What the dispatcher stands on.
#[derive(Debug)]
pub(crate) struct JobsStart {
    pub(crate) store: SharedStore,
    pub(crate) documents: Documents,
    /// What agents say wrong is counted here.
    pub(crate) counters: Arc<Counters>,
    /// Documents that apps name by a URL are fetched by it.
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) max_document_bytes: u64,
    /// How long documents and jobs are kept after they have ended.
    pub(crate) keep_documents: Duration,
    pub(crate) keep_jobs: Duration,
    /// Cancelled when every session has ended: commits that are on their way are finished.
    pub(crate) stop: CancellationToken,
}

/// A job that was made. `answer.upload` is none: who holds the connection numbers the channel.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) answer: JobCreated,
    /// The document is still to come: [`Jobs::resume_upload`] takes it.
    pub(crate) wants_document: bool,
}

impl Created {
    /// No earlier job was found by the key.
    pub(crate) const fn is_new(&self) -> bool {
        !self.answer.duplicate
    }
}

impl Jobs {
    /// Removes files without a row, and gives the handle with the task that must run behind it: dispatcher and retention. It ends
    /// after `stop`; an end before is a fault.
    pub(crate) async fn start(
        start: JobsStart,
        events: mpsc::Receiver<SessionEvent>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), ReadError> {
        let JobsStart { store, documents, counters, outbound, max_document_bytes, .. } = start;
        let (keep_documents, keep_jobs, stop) = (start.keep_documents, start.keep_jobs, start.stop);
        let fetching = Fetching::new(outbound, stop.clone());
        let fetches = store.fetches().await?;
        let known = store.document_files().await?.into_iter().collect();
        let folder = documents.clone();
        let swept = tokio::task::spawn_blocking(move || folder.sweep(&known)).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "removed files of documents that no job has"),
            Ok(Err(error)) => tracing::warn!(%error, "the documents' folder could not be swept"),
            Err(error) => tracing::warn!(%error, "the documents' folder could not be swept"),
        }
        let (commands, queue) = mpsc::channel(COMMANDS);
        let progress = broadcast::Sender::new(PROGRESS);
        let views = Arc::new(Views::default());
        let dispatcher = Dispatcher {
            store: Arc::clone(&store),
            documents: documents.clone(),
            counters,
            views: Arc::clone(&views),
            progress: progress.clone(),
            agents: HashMap::new(),
            jobs: HashMap::new(),
            work: FuturesUnordered::new(),
            tallies: HashMap::new(),
            returning: HashSet::new(),
            next_expiry_ms: None,
            expiring: false,
            gathering: VecDeque::new(),
        };
        let kept = Kept { documents: keep_documents, jobs: keep_jobs };
        let sweeping = retention::run(Arc::clone(&store), documents.clone(), kept, stop.clone());
        let running = async move {
            tokio::join!(dispatcher.run(queue, events, stop), sweeping);
        };
        let jobs = Self { store, documents, max_document_bytes, fetching, commands, views, progress };
        // They were cut off by the end of the process before.
        fetches.into_iter().for_each(|fetch| jobs.fetching.begin(jobs.clone(), fetch));
        Ok((jobs, running))
    }

    /// Checks a request, stores document and job, and answers after the commit (I1). A document of its own transfer makes an
    /// `incoming` job; [`Jobs::finish_upload`] accepts it.
    pub(crate) async fn create(
        &self,
        by: impl Into<Submitter>,
        request: JobCreate,
    ) -> Result<Created, Problem> {
        let by = by.into();
        let account = by.account;
        let document = submission::check(&request, self.max_document_bytes)?;
        let printer = self.printer(account, &request.printer).await?;
        if let Document::Url { url, .. } = &document {
            self.may_fetch(account, url)?;
        }
        self.admit(document.bytes())?;
        let making =
            Making { by: &by, document: &document, printer: &printer, reprint_of: None, now: now_ms() };
        self.make(making, request).await
    }

    /// Whether a URL may be fetched, as far as it can be said without trying.
    fn may_fetch(&self, account: AccountId, url: &str) -> Result<(), Problem> {
        let refused = |error: OutboundError| {
            ProblemKind::InvalidParams.because(error.to_string()).at("/content/url/url")
        };
        self.fetching.outbound.check(url).map_err(refused)?;
        if self.fetching.has_room(account) {
            return Ok(());
        }
        let mut problem = ProblemKind::Busy.because("too many documents wait to be fetched");
        problem.retry_after_s = Some(30);
        Err(problem)
    }

    /// Commits a new job and tells the dispatcher.
    pub(super) async fn make(&self, making: Making<'_>, request: JobCreate) -> Result<Created, Problem> {
        let new = new_job(request, making)?;
        let account = making.by.account;
        let (source, fetch) = match making.document {
            Document::Inline(bytes) => (Some(Arc::new(Source::Inline(bytes.clone()))), None),
            Document::Stored { id, bytes, sha256 } => {
                let content = DocumentContent::File;
                (self.documents.source(account, *id, content, *bytes, *sha256), None)
            }
            Document::Transfer { .. } => (None, None),
            Document::Url { url, sha256 } => {
                (None, Some(FetchRow { job: new.row.job.id, account, url: url.clone(), sha256: *sha256 }))
            }
        };
        let more = fetch.clone().map(Change::BeginFetch).into_iter();
        let more =
            more.chain(making.by.quotas.iter().map(|&bound| Change::AtMost { account, bound })).collect();
        let (reply, made) = oneshot::channel();
        let make = Command::Make(Box::new(Newcomer { new, source, more, reply }));
        self.commands.send(make).await.map_err(|_| draining())?;
        match made.await.map_err(|_| draining())? {
            Ok(outcomes) => {
                let row = job_of(outcomes)?;
                let wants_document = wants_upload(&row);
                if let Some(fetch) = fetch {
                    self.fetching.begin(self.clone(), fetch);
                }
                let answer = JobCreated { job: self.present(row), duplicate: false, upload: None };
                Ok(Created { answer, wants_document })
            }
            Err(CommitError::Duplicate(row)) => {
                let wants_document = wants_upload(&row);
                let answer = JobCreated { job: self.present(*row), duplicate: true, upload: None };
                Ok(Created { answer, wants_document })
            }
            Err(CommitError::OtherRequest(job)) => {
                let detail = format!("the key made job {job} from another request; use a new key");
                Err(ProblemKind::IdempotencyConflict.because(detail).at("/idempotency_key"))
            }
            Err(CommitError::OverQuota(bound)) => Err(bound.problem()),
            Err(error) => Err(internal(&error)),
        }
    }

    /// Cancels at once, or asks the agent to.
    pub(crate) async fn cancel(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        self.ask_event(account, job, Event::Cancel).await
    }

    /// Holds at once, or asks the agent to.
    pub(crate) async fn hold(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        self.ask_event(account, job, Event::Hold).await
    }

    /// Releases a held job.
    pub(crate) async fn release(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        self.ask_event(account, job, Event::Release).await
    }

    /// Decides an uncertain job.
    pub(crate) async fn decide(
        &self,
        account: AccountId,
        job: JobId,
        decision: Decision,
    ) -> Result<Job, Problem> {
        let note = Note { witness: decision.witness(), ..Note::default() };
        let wish = Wish::Do { events: vec![Event::Decide(decision)], note, attempt: None, with: None };
        self.ask(account, job, wish).await
    }

    /// Gives a job that is not with its agent yet another place in the queue.
    pub(crate) async fn set_priority(
        &self,
        account: AccountId,
        job: JobId,
        priority: u8,
    ) -> Result<Job, Problem> {
        submission::check_priority(priority)?;
        self.ask(account, job, Wish::Prioritize(priority)).await
    }

    /// What is set for a printer of this agent was changed (committed).
    pub(crate) async fn printers_changed(&self, agent: AgentId) {
        if self.commands.send(Command::PrintersChanged { agent }).await.is_err() {
            tracing::debug!(%agent, "the broker is stopping: its printers' settings are read at its next start");
        }
    }

    /// The agent was revoked (committed): its jobs end or become uncertain, its session is closed.
    pub(crate) async fn agent_revoked(&self, _account: AccountId, agent: AgentId) {
        if self.commands.send(Command::AgentRevoked { agent }).await.is_err() {
            tracing::info!(%agent, "the broker is stopping: the jobs of a revoked agent are seen to at its next start");
        }
    }

    /// The job as it is shown: with what memory knows of its progress and of why it waits.
    pub(crate) fn present(&self, row: JobRow) -> Job {
        self.views.present(row)
    }

    /// How often jobs moved (metrics).
    pub(crate) fn counts(&self) -> &JobCounts {
        &self.views.counts
    }

    /// How many commands wait for the dispatcher (metrics).
    pub(crate) fn queue(&self) -> Depth {
        Depth::of(&self.commands)
    }

    /// What is free where documents are kept (metrics).
    pub(crate) fn disk(&self) -> std::io::Result<Disk> {
        self.documents.disk()
    }

    /// Progress of all transfers; lags drop the oldest.
    pub(crate) fn progress(&self) -> broadcast::Receiver<(AccountId, JobProgress)> {
        self.progress.subscribe()
    }

    async fn ask_event(&self, account: AccountId, job: JobId, event: Event) -> Result<Job, Problem> {
        let wish = Wish::Do { events: vec![event], note: Note::default(), attempt: None, with: None };
        self.ask(account, job, wish).await
    }

    pub(super) async fn ask(&self, account: AccountId, job: JobId, wish: Wish) -> Result<Job, Problem> {
        let (reply, answer) = oneshot::channel();
        let input = Box::new(Input { wish, reply: Some(reply) });
        self.commands.send(Command::Ask { account, job, input }).await.map_err(|_| draining())?;
        answer.await.unwrap_or_else(|_| Err(draining()))
    }

    pub(super) async fn row(&self, account: AccountId, job: JobId) -> Result<JobRow, Problem> {
        let row = self.store.job(account, job).await.map_err(|error| internal(&error))?;
        row.ok_or_else(|| ProblemKind::NotFound.because("no such job"))
    }

    pub(super) async fn printer(&self, account: AccountId, wanted: &str) -> Result<PrinterRow, Problem> {
        let found = self.store.printers_meant(account, wanted).await;
        let mut found = found.map_err(|error| internal(&error))?;
        found.retain(|row| row.present);
        if found.len() > 1 {
            let detail = "several printers have this name: use the printer's id";
            return Err(ProblemKind::InvalidParams.because(detail).at("/printer"));
        }
        found.pop().ok_or_else(|| {
            let detail = format!("no printer `{}` in this account", clip(wanted));
            ProblemKind::NotFound.because(detail).at("/printer")
        })
    }

    pub(super) fn admit(&self, bytes: u64) -> Result<(), Problem> {
        self.documents.admit(bytes).map_err(|full| {
            let mut problem = ProblemKind::StorageFull.because(full.to_string());
            problem.retry_after_s = Some(60);
            problem
        })
    }
}
