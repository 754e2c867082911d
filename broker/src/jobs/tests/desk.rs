//! A store, a dispatcher, and an agent played by the test.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{Content, Event, Job, JobCreate};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{Attempt, Epoch, FactSeq, JobId, Sha256Digest};
use inkwire_protocol::job::State;
use inkwire_protocol::message::{Fact, FactMessage, HeldTransfer, RefuseReason, Witness};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::documents::{Documents, Space};
use crate::jobs::{Jobs, JobsStart};
use crate::outbound::{Outbound, OutboundRules, SystemResolver};
use crate::sessions::counters::Counters;
use crate::sessions::link::{Cut, Online, OpenTransfer, SessionCommand, SessionEvent, What};
use crate::sessions::mailbox::{Commands, mailbox};
use crate::store::fixtures::{House, hello};
use crate::store::traits::*;
use crate::store::{BeginSession, SharedStore};

/// Far above what any step here takes, so that only a real hang ends a test.
const HANG: Duration = Duration::from_secs(20);

pub(super) struct Desk {
    pub(super) house: House,
    pub(super) jobs: Jobs,
    pub(super) stop: CancellationToken,
    pub(super) counters: Arc<Counters>,
    events: mpsc::Sender<SessionEvent>,
    running: JoinHandle<()>,
    dials: u64,
    /// The space guard's setting from the next restart on.
    pub(super) min_free_bytes: u64,
}

/// The agent's end of a session.
pub(super) struct Agent {
    pub(super) epoch: Epoch,
    pub(super) spool_lost: bool,
    commands: Commands,
}

impl Desk {
    pub(super) async fn new() -> Self {
        let house = House::new().await;
        // Its printers are known from a first session.
        house.started(hello(house.agent, 1)).await;
        house.reconcile().await;
        let counters = Arc::new(Counters::default());
        let (jobs, events, stop, running) = start(&house, 0, &counters).await;
        Self { house, jobs, stop, counters, events, running, dials: 1, min_free_bytes: 0 }
    }

    /// The broker's jobs stop and start again on the same store.
    pub(super) async fn restart(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap();
        (self.jobs, self.events, self.stop, self.running) =
            start(&self.house, self.min_free_bytes, &self.counters).await;
    }

    pub(super) async fn tell(&self, epoch: Epoch, what: What) {
        let agent = self.house.agent;
        self.events.send(SessionEvent { agent, epoch, what }).await.unwrap();
    }

    /// The agent dials; `held` is what it holds partly.
    pub(super) async fn online(&mut self, held: Vec<HeldTransfer>) -> Agent {
        self.online_as(held, |begin| begin).await
    }

    pub(super) async fn online_as(
        &mut self,
        held: Vec<HeldTransfer>,
        change: impl FnOnce(BeginSession) -> BeginSession,
    ) -> Agent {
        self.dials += 1;
        let agent_row = self.house.store.agent(self.house.account, self.house.agent).await.unwrap().unwrap();
        let begin = BeginSession {
            ledger_seq: agent_row.ledger_seq,
            facts_acked: agent_row.facts_acked,
            ..hello(self.house.agent, self.dials)
        };
        let started = self.house.started(change(begin)).await;
        let epoch = started.agent.epoch;
        let (sender, commands) = mailbox();
        let online = Online {
            commands: sender,
            held,
            spool_lost: started.spool_lost,
            reconciling: started.reconciling,
            restored_jobs: started.restored_jobs,
            store_epoch: started.store_epoch,
            observed: started.agent.observed_endpoint.unwrap(),
            absent_ms: started.absent_ms,
            printers: vec![],
        };
        self.tell(epoch, What::Online(Box::new(online))).await;
        Agent { epoch, spool_lost: started.spool_lost, commands }
    }

    pub(super) async fn offline(&self, agent: Agent) {
        self.cut(agent, vec![]).await;
    }

    /// Its link is lost while these are on their way.
    pub(super) async fn cut(&self, agent: Agent, cut: Vec<Cut>) {
        self.tell(agent.epoch, What::Offline { reason: CloseCode::Silent, cut }).await;
    }

    /// The session ends; nothing was sent on it.
    pub(super) async fn offline_and_wait(&self, agent: &mut Agent) {
        self.tell(agent.epoch, What::Offline { reason: CloseCode::Draining, cut: vec![] }).await;
        // The dispatcher drops its end of the commands when it has forgotten the session.
        let end =
            tokio::time::timeout(HANG, agent.commands.recv()).await.expect("the session is not forgotten");
        assert!(end.is_none(), "{end:?}");
    }

    pub(super) async fn fact(&self, agent: &Agent, open: &OpenTransfer, seq: u32, fact: Fact) {
        let message = FactMessage {
            job: open.open.job,
            attempt: open.open.attempt,
            fact_seq: FactSeq(seq),
            ledger_seq: u64::from(seq),
            at_ms: 0,
            fact,
        };
        self.tell(agent.epoch, What::Fact(Box::new(message))).await;
    }

    /// Says a fact and waits for its ack, which comes only after the commit.
    pub(super) async fn acked(&self, agent: &mut Agent, open: &OpenTransfer, seq: u32, fact: Fact) {
        self.fact(agent, open, seq, fact).await;
        match agent.next().await {
            SessionCommand::FactAck { job, attempt, fact_seq, .. } => {
                assert_eq!((job, attempt, fact_seq.0), (open.open.job, open.open.attempt, seq));
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn refused(&self, agent: &Agent, open: &OpenTransfer, reason: RefuseReason) {
        let (job, attempt) = (open.open.job, open.open.attempt);
        self.tell(agent.epoch, What::Refused { job, attempt, reason, detail: None }).await;
    }

    /// Submits a label.
    pub(super) async fn label(&self, change: impl FnOnce(&mut JobCreate)) -> Job {
        let mut request = request(&Content::Inline(STANDARD.encode("^XA^XZ")));
        change(&mut request);
        self.jobs.create(self.house.account, request).await.unwrap().answer.job
    }

    /// Submits a document of 100,000 bytes by a transfer.
    pub(super) async fn large(&self) -> Job {
        let content = Content::Transfer { bytes: 100_000, sha256: None, packet_bytes: None };
        let created = self.jobs.create(self.house.account, request(&content)).await.unwrap();
        let job = created.answer.job;
        assert_eq!(job.state, State::Incoming);
        assert!(created.wants_document);
        let upload = self.jobs.resume_upload(self.house.account, job.id).await.unwrap();
        let document = document();
        for seq in 0..upload.layout.packets() {
            let slice = upload.layout.slice(seq).unwrap();
            let data = &document[slice.offset as usize..slice.offset as usize + slice.len as usize];
            let crc = crc32c_of(data);
            upload.write(seq, crc, bytes::Bytes::copy_from_slice(data)).await.unwrap();
        }
        let digest = Some(Sha256Digest::of(&document));
        self.jobs.finish_upload(self.house.account, job.id, upload, 100_000, digest).await.unwrap()
    }

    /// The job as the API shows it.
    pub(super) async fn job(&self, id: JobId) -> Job {
        self.jobs.present(self.house.store.job(self.house.account, id).await.unwrap().unwrap())
    }

    /// Waits until the job is in this state.
    pub(super) async fn until(&self, id: JobId, state: State) -> Job {
        let mut wakeups = self.house.store.wakeups();
        let reached = async {
            loop {
                let job = self.job(id).await;
                if job.state == state {
                    return job;
                }
                wakeups.recv().await.unwrap();
            }
        };
        match tokio::time::timeout(HANG, reached).await {
            Ok(job) => job,
            Err(_) => panic!("not {state}: {:?}", self.job(id).await),
        }
    }

    /// Waits for an event of this kind about the job.
    pub(super) async fn until_kind(&self, id: JobId, kind: &str) -> Event {
        let mut wakeups = self.house.store.wakeups();
        let seen = async {
            loop {
                let events = self.house.store.job_events(self.house.account, id).await.unwrap();
                if let Some(event) = events.into_iter().rfind(|event| event.kind == kind) {
                    return event;
                }
                wakeups.recv().await.unwrap();
            }
        };
        match tokio::time::timeout(HANG, seen).await {
            Ok(event) => event,
            Err(_) => panic!("no {kind}: {:?}", self.kinds(id).await),
        }
    }

    /// Commits of the store so far.
    pub(super) fn commits(&self) -> u64 {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("callers", "callers", self.house.store.meters().commit_callers.clone());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("callers_count ")).unwrap();
        count.parse().unwrap()
    }

    pub(super) async fn kinds(&self, id: JobId) -> Vec<String> {
        let events = self.house.store.job_events(self.house.account, id).await.unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }
}

async fn start(
    house: &House,
    min_free_bytes: u64,
    counters: &Arc<Counters>,
) -> (Jobs, mpsc::Sender<SessionEvent>, CancellationToken, JoinHandle<()>) {
    let store: SharedStore = Arc::clone(&house.store) as SharedStore;
    let space = Space { min_free_bytes, min_free_percent: 0 };
    let documents = Documents::open(&house.path().join("documents"), space).unwrap();
    let (sender, events) = mpsc::channel(16);
    let counters = Arc::clone(counters);
    let stop = CancellationToken::new();
    let start = JobsStart {
        store,
        documents,
        counters,
        outbound: Arc::new(Outbound::new(OutboundRules::default(), Arc::new(SystemResolver))),
        max_document_bytes: 1 << 30,
        keep_documents: Duration::from_secs(3600),
        keep_jobs: Duration::from_secs(3600),
        stop: stop.clone(),
    };
    let (jobs, running) = Jobs::start(start, events).await.unwrap();
    (jobs, sender, stop, tokio::spawn(running))
}

impl Agent {
    pub(super) async fn next(&mut self) -> SessionCommand {
        tokio::time::timeout(HANG, self.commands.recv())
            .await
            .expect("no command came")
            .expect("session closed")
    }

    pub(super) async fn open(&mut self) -> OpenTransfer {
        match self.next().await {
            SessionCommand::Open(open) => *open,
            other => panic!("{other:?}"),
        }
    }

    /// The next transfer; one that was ended by its outcome before all of it was sent is dropped first.
    pub(super) async fn open_at_last(&mut self) -> OpenTransfer {
        loop {
            match self.next().await {
                SessionCommand::Open(open) => return *open,
                SessionCommand::Drop { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Nothing was sent, as far as everything before has been handled.
    pub(super) fn is_idle(&mut self) -> bool {
        self.commands.is_empty()
    }
}

pub(super) fn request(content: &Content) -> JobCreate {
    serde_json::from_value(json!({
        "printer": "labels", "format": "application/vnd.zebra-zpl", "content": content,
    }))
    .unwrap()
}

pub(super) fn document() -> Vec<u8> {
    (0..100_000_u32).map(|i| (i * 13 % 251) as u8).collect()
}

fn crc32c_of(data: &[u8]) -> u32 {
    use inkwire_protocol::ids::{PrinterNumber, TransferId};
    inkwire_protocol::packet::Header::over(TransferId(0), PrinterNumber(0), 0, false, data).crc32c
}

pub(super) fn completed() -> Fact {
    Fact::Completed { witness: Witness::HandedOver, delivered_bytes: 6, sha256: None, detail: None }
}

pub(super) fn uncertain() -> Fact {
    Fact::Uncertain { reason: "agent-restarted".into(), detail: "killed".into(), delivered_bytes: 3 }
}

pub(super) fn held(open: &OpenTransfer, next_seq: u32) -> HeldTransfer {
    HeldTransfer {
        job: open.open.job,
        attempt: open.open.attempt,
        packet_bytes: open.open.packet_bytes,
        next_seq,
    }
}

pub(super) const FIRST: Attempt = Attempt(1);
