//! The dispatcher as it stands, and what apps ask of it.

mod agents;
mod at_once;
mod counts;
mod dispatcher;
mod done;
mod follow;
mod input;
mod line;
mod moves;
mod on_return;
mod orders;
mod queue;
mod returning;
mod rules;
mod tally;
mod transition;
mod views;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use inkwire_protocol::app::{Job, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, Attempt, DocumentId, JobId, Sha256Digest};
use inkwire_protocol::job::{Decision, Event, State};
use inkwire_protocol::limits::INLINE_DOCUMENT_BYTES;
use inkwire_protocol::printer::{Delivery, OnUncertain};
use serde_json::Map;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::at_once::Newcomer;
use self::dispatcher::Dispatcher;
use self::input::{Command, Input};
use self::transition::Note;
use self::views::Views;
use crate::documents::{Documents, Source};
use crate::sessions::counters::Counters;
use crate::sessions::link::SessionEvent;
use crate::store::{
    Change, CommitError, Idempotency, JobRow, NewDocument, NewJob, Outcome, PrinterRow, SharedStore,
};

mod making {
    use crate::store::{JobRow, Outcome};

    pub(super) fn job_of(outcomes: Vec<Outcome>) -> Result<JobRow, String> {
        let job = |outcome| if let Outcome::Job(row) = outcome { Some(*row) } else { None };
        outcomes.into_iter().find_map(job).ok_or_else(|| "nothing was made".to_owned())
    }
}

/// What an app asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) account: AccountId,
    pub(crate) printer: PrinterRow,
    pub(crate) key: String,
    pub(crate) document: Bytes,
    pub(crate) qty: u32,
    pub(crate) priority: u8,
    pub(crate) hold: bool,
    pub(crate) stream: bool,
    pub(crate) on_uncertain: OnUncertain,
    pub(crate) expires_ms: u64,
}

/// The jobs, as apps see them.
#[derive(Clone)]
pub(crate) struct Jobs {
    store: SharedStore,
    documents: Documents,
    commands: mpsc::Sender<Command>,
    views: Arc<Views>,
}

impl Jobs {
    pub(crate) fn start(
        store: SharedStore,
        documents: Documents,
        counters: Arc<Counters>,
        events: mpsc::Receiver<SessionEvent>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (commands, queue) = mpsc::channel(64);
        let views = Arc::new(Views::default());
        let dispatcher = Dispatcher {
            store: Arc::clone(&store),
            documents: documents.clone(),
            counters,
            views: Arc::clone(&views),
            progress: broadcast::Sender::new(16),
            agents: HashMap::new(),
            jobs: HashMap::new(),
            work: FuturesUnordered::new(),
            tallies: HashMap::new(),
            returning: HashSet::new(),
            next_expiry_ms: None,
            expiring: false,
            gathering: VecDeque::new(),
        };
        let running = dispatcher.run(queue, events, CancellationToken::new());
        (Self { store, documents, commands, views }, running)
    }

    /// Submits; the answer says that the job is accepted. The same key makes the same job.
    pub(crate) async fn create(&self, wanted: &Wanted) -> Result<Job, String> {
        let now = crate::clock::now_ms();
        let sha256 = Sha256Digest::of(&wanted.document);
        let document = DocumentId::from_uuid(uuid::Uuid::now_v7());
        let inline = wanted.document.len() as u64 <= INLINE_DOCUMENT_BYTES;
        if !inline {
            self.documents.put(document, &wanted.document).map_err(|error| error.to_string())?;
        }
        let job = Job {
            id: JobId::from_uuid(uuid::Uuid::now_v7()),
            number: 0,
            printer: wanted.printer.id,
            agent: wanted.printer.agent,
            printer_number: wanted.printer.info.number,
            title: wanted.key.clone(),
            format: "application/octet-stream".into(),
            bytes: wanted.document.len() as u64,
            sha256: Some(sha256),
            state: if wanted.hold { State::Held } else { State::Pending },
            reason: None,
            witness: None,
            attempt: Attempt(0),
            may_print: false,
            request: None,
            received_bytes: 0,
            delivered_bytes: 0,
            qty: wanted.qty,
            delivery: if wanted.stream { Delivery::Stream } else { Delivery::Spool },
            priority: wanted.priority,
            options: Default::default(),
            warnings: Vec::new(),
            on_uncertain: wanted.on_uncertain,
            tags: Vec::new(),
            idempotency_key: Some(wanted.key.clone()),
            reprint_of: None,
            created_ms: now,
            accepted_ms: Some(now),
            ended_ms: None,
            expires_ms: wanted.expires_ms,
            rev: 0,
        };
        let account = wanted.account;
        let row = JobRow { account, job, document, packet_bytes: 0, hold: wanted.hold, last_fact: None, corrupt: 0 };
        let events = vec![transition::event(&row, "job.accepted", Map::new(), now)];
        let source = Source::of(wanted.document.clone());
        let content = if inline { NewDocument::Inline(wanted.document.clone()) } else { NewDocument::File };
        let idempotency = Idempotency {
            key: wanted.key.clone(),
            request: Sha256Digest::of(wanted.key.as_bytes()),
            expires_ms: now + 86_400_000,
        };
        let new = NewJob { row, document: content, idempotency: Some(idempotency), events };
        let (reply, made) = oneshot::channel();
        let make = Command::Make(Box::new(Newcomer { new, source: Some(source), more: Vec::new(), reply }));
        let stopped = "the broker has stopped";
        self.commands.send(make).await.map_err(|_| stopped)?;
        match made.await.map_err(|_| stopped)? {
            Ok(outcomes) => Ok(making::job_of(outcomes)?.job),
            Err(CommitError::Duplicate(row)) => Ok(row.job),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn ask(&self, account: AccountId, job: JobId, event: Event) -> Result<Job, Problem> {
        let note = match event {
            Event::Decide(decision) => Note { witness: decision.witness(), ..Note::default() },
            _ => Note::default(),
        };
        let mut input = Input::events(vec![event], note);
        let (reply, answer) = oneshot::channel();
        input.reply = Some(reply);
        let gone = || ProblemKind::Draining.because("the broker has stopped");
        let ask = Command::Ask { account, job, input: Box::new(input) };
        self.commands.send(ask).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The job as apps see it, with the reason why it waits.
    pub(crate) fn present(&self, row: JobRow) -> Job {
        self.views.present(row)
    }
}
