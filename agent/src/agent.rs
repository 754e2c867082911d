//! The agent as a whole: what is opened at the start, what runs, how it stops.

mod opening;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::ids::{AgentId, InstanceId};
use inkwire_protocol::limits::OUTCOME_KEPT;
use inkwire_transport::TlsSetupError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::opening::Opened;
use crate::config::Config;
use crate::desk::Desk;
use crate::identity::{self, IdentityError};
use crate::limits::{LINK_EVENTS, STOP_WITHIN, SWEEP_OUTCOMES_EVERY};
use crate::link::Link;
use crate::print::{Absent, Worker};
use crate::printers::{Backend, PrinterConfigError};
use crate::report::{outbox, states};
use crate::shared::Shared;
use crate::spool::{Change, Ledger, LedgerError};
use crate::status;

/// How often, and how quickly, a state directory that is in use is tried again.
const LOCK_TRIES: u32 = 5;
const LOCK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A running agent.
pub struct Agent {
    id: AgentId,
    name: String,
    tasks: JoinSet<Result<(), RunError>>,
    stop: CancellationToken,
    ledger: Ledger,
    /// Held as long as the state directory is in use.
    _lock: File,
}

/// Why an agent does not start. Each names its remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no usable identity, or another process uses the state directory.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A printer's configuration cannot be used.
    #[error(transparent)]
    Printer(#[from] PrinterConfigError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The spool cannot be read or written.
    #[error("the spool {path} cannot be used: {problem}")]
    Spool {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
}

/// Why an agent has ended unasked: start it again, nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger has failed: what is not on stable storage must not be said.
    #[error("the agent has stopped: {0}")]
    Ledger(#[from] LedgerError),
    /// A part of it has ended that never should.
    #[error("the agent has stopped: {0} has ended")]
    Ended(String),
}

/// For tests: what a configuration cannot say.
#[doc(hidden)]
#[derive(Default)]
pub struct Extras {
    /// Printers with back-ends of the test's own, by name.
    pub printers: Vec<(String, Arc<dyn Backend>)>,
    /// What the PC's wall clock is off by.
    pub clock_skew_ms: i64,
}

impl Agent {
    /// Starts with the identity in the state directory and runs until `shutdown` is cancelled. Returns when everything is open and
    /// running; whether the broker can be reached shows later.
    ///
    /// # Errors
    /// What cannot be opened, with the remedy.
    pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Self, StartError> {
        Self::start_with(config, Extras::default(), shutdown).await
    }

    /// Like [`Agent::start`], with a test's extras.
    #[doc(hidden)]
    pub async fn start_with(
        config: Config,
        extras: Extras,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let lock = take_lock(&config.state_dir).await?;
        let (who, key, url) = identity::load(&config.state_dir)?;
        let stop = shutdown.child_token();
        let opened = opening::open(&config, extras, who.agent).await?;
        let tls =
            inkwire_transport::client_config(inkwire_transport::Trust::of(&url), opened.shared.clock.tls())?;
        let Opened { shared, commands, printers, strangers, partial, meta } = opened;
        let (events, heard) = mpsc::channel(LINK_EVENTS);
        let link = Link {
            url,
            tls,
            agent: who.agent,
            key: jsonwebtoken::EncodingKey::from_ed_der(key.pkcs8()),
            instance: InstanceId::from_uuid(uuid::Uuid::now_v7()),
            token: meta.session,
            shared: Arc::clone(&shared),
            events,
            commands,
            stop: stop.clone(),
        };
        let desk = Desk::new(Arc::clone(&shared), partial, meta.store_epoch);

        let mut parts = Parts { tasks: JoinSet::new(), stop: stop.clone() };
        parts.add("the connection", async move {
            link.run().await;
            Ok(())
        });
        parts.add("the desk", desk.run(heard));
        parts.add("the outbox", outbox::run(Arc::clone(&shared), stop.clone()));
        parts.add("the ledger", keep_ledger(Arc::clone(&shared), stop.clone()));
        let backends = printers.iter().map(|printer| (printer.number, Arc::clone(&printer.backend)));
        let absent =
            strangers.into_iter().map(|info| (info.number, Arc::new(Absent(info)) as Arc<dyn Backend>));
        for (printer, backend) in backends.chain(absent) {
            let worker = Worker { printer, backend, shared: Arc::clone(&shared), stop: stop.clone() };
            parts.add("a printer's worker", worker.run());
        }
        let status = status::keep(Arc::clone(&shared), config.state_dir.clone(), stop.clone());
        parts.add("the status file", async move {
            status.await;
            Ok(())
        });
        let watch = states::run(Arc::clone(&shared), printers, config.poll_printers, stop.clone());
        parts.add("the watch on printers", async move {
            watch.await;
            Ok(())
        });
        tracing::info!(agent = %who.agent, name = who.agent_name, "the agent is running");
        let ledger = shared.ledger.clone();
        Ok(Self { id: who.agent, name: who.agent_name, tasks: parts.tasks, stop, ledger, _lock: lock })
    }

    /// The agent's id.
    pub const fn id(&self) -> AgentId {
        self.id
    }

    /// The agent's name at the broker.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the agent has stopped: after `shutdown`, with what is being printed seen to its end for at most
    /// [`STOP_WITHIN`]; or unasked.
    ///
    /// # Errors
    /// Why it stopped unasked.
    pub async fn stopped(mut self) -> Result<(), RunError> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let asked = self.stop.is_cancelled();
            let ended = ended.unwrap_or_else(|error| Err(RunError::Ended(error.to_string())));
            if let Err(error) = ended {
                result = result.and(Err(error));
            }
            if asked || result.is_err() {
                break;
            }
        }
        self.stop.cancel();
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, rest).await.is_err() {
            tracing::warn!("a printer is still at work: its job is looked into at the next start");
            self.tasks.shutdown().await;
        }
        if tokio::time::timeout(STOP_WITHIN, self.ledger.closed()).await.is_err() {
            tracing::warn!("the ledger is still in use at the end");
        }
        result
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Takes the state directory. Somebody who asks for the status holds its lock for a moment.
async fn take_lock(state_dir: &Path) -> Result<File, IdentityError> {
    for _ in 0..LOCK_TRIES {
        match identity::lock(state_dir) {
            Err(IdentityError::InUse(_)) => tokio::time::sleep(LOCK_AGAIN_AFTER).await,
            taken => return taken,
        }
    }
    identity::lock(state_dir)
}

/// The tasks that make up the agent; one that ends unasked ends all.
struct Parts {
    tasks: JoinSet<Result<(), RunError>>,
    stop: CancellationToken,
}

impl Parts {
    fn add(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), LedgerError>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let ended = part.await;
            let asked = stop.is_cancelled();
            match ended {
                // What a part says while the others are going is not the reason why they go.
                Err(LedgerError::Closed) | Ok(()) if asked => Ok(()),
                Err(error) => Err(RunError::Ledger(error)),
                Ok(()) => Err(RunError::Ended(name.into())),
            }
        });
    }
}

/// Ends with the ledger's failure; forgets old outcomes now and then.
async fn keep_ledger(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), LedgerError> {
    let ledger = &shared.ledger;
    let kept = u64::try_from(OUTCOME_KEPT.as_millis()).unwrap_or(u64::MAX);
    let mut every = tokio::time::interval(SWEEP_OUTCOMES_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            error = ledger.failed() => return Err(error),
            _ = every.tick() => {
                // Only a time that the broker has told is good enough to forget by.
                if shared.online.borrow().is_some() {
                    let before_ms = shared.clock.now_ms().saturating_sub(kept);
                    ledger.lazily(Change::Prune { before_ms }).await?;
                }
            }
        }
    }
}
