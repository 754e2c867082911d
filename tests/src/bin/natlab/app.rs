//! The third-party app on the Internet: submits documents, asks, and writes down every event with the time it came.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use inkwire_client::protocol::app::{Agent, AgentStatus, Job, JobProgress, Subscribe};
use inkwire_client::protocol::ids::JobId;
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, EventItem, new_job};

use crate::clock::now_ms;
use inkwire_tests::net::netns::Netns;

/// How long an answer may take, over every restart of the broker that the lab makes.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Something that the app was told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// When it came, Unix milliseconds.
    pub(crate) at_ms: f64,
    pub(crate) what: What,
}

/// What the app was told.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Progress(JobProgress),
    Event {
        job: Option<JobId>,
        kind: String,
    },
    /// The log of events could not be followed without a gap.
    Gap(String),
}

/// A running app.
#[derive(Debug)]
pub(crate) struct App {
    runtime: tokio::runtime::Runtime,
    client: Client,
    told: Arc<Mutex<Vec<Told>>>,
}

impl App {
    /// Connects from the broker's segment and follows all events.
    pub(crate) fn connect(inet: &Arc<Netns>, url: &str, key: String) -> Result<Self> {
        let namespace = Arc::clone(inet);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(move || {
                if let Err(error) = namespace.enter() {
                    eprintln!("natlab: the app is outside: {error:#}");
                }
            })
            .build()?;
        let url = url.parse().map_err(|error| anyhow!("the broker's URL {url}: {error}"))?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        let client = inside(&runtime, async move {
            let client = Client::connect(url, key).await.context("the app cannot connect")?;
            let subscribe = Subscribe { progress: true, ..Subscribe::default() };
            let mut events = client.events(subscribe).await.context("the app cannot follow events")?;
            tokio::spawn(async move {
                while let Some(item) = events.next().await {
                    let told = Told { at_ms: now_ms(), what: what(item) };
                    list.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                }
            });
            Ok(client)
        })?;
        Ok(Self { runtime, client, told })
    }

    fn ask<T, F>(&self, ask: impl FnOnce(Client) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, inkwire_client::Error>> + Send + 'static,
    {
        let answer = ask(self.client.clone());
        inside(&self.runtime, async move {
            tokio::time::timeout(ANSWER_WITHIN, answer)
                .await
                .context("the broker does not answer")?
                .map_err(Into::into)
        })
    }

    /// Submits a document; it is held until released where `hold` says so.
    pub(crate) fn submit(&self, printer: &str, format: &str, bytes: Vec<u8>, hold: bool) -> Result<Job> {
        let mut job = new_job(printer, format);
        job.title = format!("lab document for {printer}");
        job.hold = hold;
        self.ask(|client| async move { client.submit(job, bytes).await })
            .with_context(|| format!("cannot submit a document to {printer}"))
    }

    pub(crate) fn release(&self, job: JobId) -> Result<Job> {
        self.ask(move |client| async move { client.release(job).await })
    }

    pub(crate) fn job(&self, job: JobId) -> Result<Job> {
        self.ask(move |client| async move { client.job(job).await }).map(|detail| detail.job)
    }

    /// All agents with the history of their endpoints, in the order in which they were paired.
    pub(crate) fn agents(&self) -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        for agent in self.ask(|client| async move { client.agents().await })? {
            agents.push(self.ask(move |client| async move { client.agent(agent.id).await })?);
        }
        agents.sort_by_key(|agent| agent.id);
        Ok(agents)
    }

    /// Waits until so many printers are ready.
    pub(crate) fn printers_online(&self, count: usize, within: Duration) -> Result<()> {
        let begun = std::time::Instant::now();
        loop {
            let printers = self.ask(|client| async move { client.printers().await })?;
            let online =
                printers.iter().filter(|it| it.present && it.agent_status == AgentStatus::Online).count();
            if online >= count {
                return Ok(());
            }
            if begun.elapsed() > within {
                bail!("{online} of {count} printers are online after {within:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything told since the n-th.
    pub(crate) fn told_since(&self, from: usize) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(from..).map(<[Told]>::to_vec).unwrap_or_default()
    }

    /// Waits until all jobs have ended (or are uncertain) and returns them.
    pub(crate) fn ended(&self, jobs: &[JobId], within: Duration) -> Result<Vec<Job>> {
        let begun = std::time::Instant::now();
        loop {
            let now = jobs.iter().map(|job| self.job(*job)).collect::<Result<Vec<_>>>()?;
            let open =
                now.iter().filter(|job| !job.state.is_terminal() && job.state != State::Uncertain).count();
            if open == 0 || begun.elapsed() > within {
                return Ok(now);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn what(item: EventItem) -> What {
    match item {
        EventItem::Event(event) => What::Event { job: event.job, kind: event.kind },
        EventItem::Progress(progress) => What::Progress(progress),
        EventItem::CannotResume { from, .. } => What::Gap(format!("cannot resume before {}", from.offset)),
        EventItem::Ended(error) => What::Gap(format!("the subscription ended: {error}")),
    }
}

/// Runs on the runtime's own thread, which is inside the namespace.
fn inside<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    runtime.block_on(runtime.spawn(work)).context("the app panicked")?
}
