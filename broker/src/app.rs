//! The broker as a whole: starts its rooms, watches over them, and ends them in order.

mod auth;
mod drain;
mod files;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkwire_protocol::ids::Sha256Digest;
use inkwire_service::fsio::{WriteError, create_dir_durable, keep_private};
use inkwire_transport::{BrokerUrl, BrokerUrlError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::drain::{Running, Vital};
use crate::admin::{self, Admin, AdminError};
use crate::api::Api;
use crate::api::rpc::Underway;
use crate::auth::Auth;
use crate::certs::{self, CertificateError, Origin};
use crate::clock::now_ms;
use crate::config::{Config, Metrics};
use crate::documents::Documents;
use crate::feed::Feeds;
use crate::first_start::{self, FirstStartError};
use crate::jobs::{Jobs, JobsStart};
use crate::limits::{REST_UPLOADS, SESSION_EVENTS};
use crate::listen::{Kind, Port, Rooms, accept_loop};
use crate::metrics::{self, Watched};
use crate::outbound::{Outbound, SystemResolver};
use crate::pairing::Pairings;
use crate::sessions::Sessions;
use crate::sessions::counters::Counters;
use crate::sessions::link::SessionEvent;
use crate::sessions::registry::Registry;
use crate::store::{OpenError, SharedStore, SqliteStore};
use crate::webhooks::Webhooks;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    url: BrokerUrl,
    console: Option<SocketAddr>,
    pin: Sha256Digest,
    sign_in: Option<String>,
    admin_socket: PathBuf,
    metrics: Option<SocketAddr>,
    running: JoinHandle<Result<(), RunError>>,
}

/// Why a broker does not start; names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error("cannot make the data folder: {0}")]
    DataDir(#[from] WriteError),
    /// The store.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// The documents' folder.
    #[error("cannot use the documents' folder {}: {source}", folder.display())]
    Documents {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An address.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The public URL.
    #[error("`public_url`: {0}")]
    PublicUrl(#[from] BrokerUrlError),
    /// The first account.
    #[error("cannot make the first account: {0}")]
    FirstStart(#[from] FirstStartError),
    /// Passwords and access tokens.
    #[error("cannot set up authentication: {0}")]
    Auth(String),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A task of ours did not come back.
    #[error("the start was interrupted")]
    Interrupted,
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Why a broker stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part of it ended.
    #[error("the broker's {0} ended unasked; its log says why")]
    Ended(&'static str),
    /// The store failed: what is on the disk is not known, so nothing is retried.
    #[error("the store has failed: {0}; look at the disk, then start the broker again")]
    Store(String),
    /// Something did not end in time.
    #[error("{0} connections had not ended at the deadline")]
    Overdue(usize),
}

impl Broker {
    /// Starts a broker: makes what is missing in an empty data folder, opens the store, and serves when this returns.
    /// Cancelling `shutdown` drains it: agents are told to come back, commits are finished, then it stops.
    pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Self, StartError> {
        files::raise_limit(config.limits.max_connections);
        let data_dir = config.data_dir.clone();
        create_dir_durable(&data_dir, 0o700)?;
        keep_private(&data_dir)?;
        // First, for it takes the folder's lock.
        let folder = data_dir.clone();
        let store: SharedStore = Arc::new(blocking(move || SqliteStore::open(&folder)).await??);
        let listeners = bind(&config.listen).await?;
        let listening: Vec<SocketAddr> = listeners.iter().map(|(address, _)| *address).collect();
        let console = match config.console_listen {
            Some(address) => bind(&[address]).await?.pop(),
            None => None,
        };
        let console_at = console.as_ref().map(|(address, _)| *address);
        let address = listening.first().copied().ok_or(StartError::Interrupted)?;

        let origin = match &config.tls {
            Some(given) => Origin::Given(given.clone()),
            None => Origin::Own {
                folder: data_dir.join("certs"),
                names: first_start::certificate_names(&config, &listening),
            },
        };
        let loading = origin.clone();
        let tls = Arc::new(blocking(move || certs::load(&loading)).await??);
        let pin = tls.pin();
        let url = first_start::public_url(&config, address, pin)?;
        let token = first_start::first_start(&store).await?;
        let sign_in = token.map(|token| crate::auth::links::sign_in_link(&url, &token));

        let admin_socket = data_dir.join("admin.sock");
        let admin_listener = admin::bind(&admin_socket)?;
        let mut running = Running::new(store.clone(), shutdown);
        let (closing, tracker) = (running.closing.clone(), running.tracker.clone());
        let stop = running.stop.clone();
        let auth = auth::start_auth(&config, store.clone(), &url, &mut running.vital, &stop).await?;
        let called = Called { auth, url: url.clone(), console: console_at };
        let rooms = furnish(&config, store, &mut running.vital, (&closing, &stop), &tracker, called).await?;
        let metrics = match config.metrics {
            Some(metrics) => Some(start_metrics(metrics, &rooms, &mut running.vital, stop.clone()).await?),
            None => None,
        };
        running.sessions = Some(rooms.sessions.clone());
        let admin = Admin { api: rooms.api.clone(), url: url.clone(), started_ms: now_ms() };
        running.vital.spawn("admin socket", admin::serve(Arc::new(admin), admin_listener, stop.clone()));
        running.vital.spawn("certificate watch", certs::watch(tls.clone(), origin, stop));
        let port = Arc::new(Port::new(tls, config.proxies, &config.limits, rooms, tracker, closing));
        for (_, listener) in listeners {
            running.vital.spawn("listener", accept_loop(port.clone(), listener, Kind::Tls));
        }
        if let Some((at, listener)) = console {
            running.vital.spawn("console listener", accept_loop(port.clone(), listener, Kind::Console(at)));
        }
        drop(port);
        tracing::info!(%address, url = %url, "the broker serves");
        let socket = admin_socket.clone();
        let running = tokio::spawn(async move {
            let ended = running.run().await;
            if let Err(error) = std::fs::remove_file(&socket) {
                tracing::debug!(%error, "the admin socket's file was not removed");
            }
            ended
        });
        Ok(Self { address, url, console: console_at, pin, sign_in, admin_socket, metrics, running })
    }

    /// Where it listens (the first address; its port is the real one where 0 was asked for).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How agents and apps reach it, with the pin of its certificate authority: what `inkwire agent pair` takes.
    pub fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// Where the console is on plain HTTP for this machine (`console_listen`).
    pub fn console(&self) -> Option<SocketAddr> {
        self.console
    }

    /// The pin alone.
    pub fn pin(&self) -> Sha256Digest {
        self.pin
    }

    /// The one-time sign-in link (15 minutes) that a first start makes: `https://host:port/sign-in?token=...#sha256=...`.
    pub fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    /// The admin socket.
    pub fn admin_socket(&self) -> &Path {
        &self.admin_socket
    }

    /// Where `GET /metrics` is answered, if it is.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Waits until it has stopped: well, because it was asked to, or with the reason.
    pub async fn stopped(self) -> Result<(), RunError> {
        self.running.await.unwrap_or(Err(RunError::Ended("supervisor")))
    }
}

/// Who may ask, and how the broker is called.
struct Called {
    auth: Arc<Auth>,
    url: BrokerUrl,
    console: Option<SocketAddr>,
}

/// The rooms behind the port, with the channels between them.
async fn furnish(
    config: &Config,
    store: SharedStore,
    vital: &mut Vital,
    (closing, stop): (&CancellationToken, &CancellationToken),
    tracker: &TaskTracker,
    called: Called,
) -> Result<Rooms, StartError> {
    let (events, events_for_jobs) = mpsc::channel(SESSION_EVENTS);
    let counters = Arc::new(Counters::default());
    let outbound = Arc::new(Outbound::new(config.outbound.clone(), Arc::new(SystemResolver)));
    let start = (store.clone(), counters.clone(), outbound.clone(), stop.clone());
    let jobs = start_jobs(config, start, events_for_jobs, vital).await?;
    let sessions = Arc::new(Sessions {
        store: store.clone(),
        registry: Registry::default(),
        counters,
        events,
        report_interval: config.report_interval,
        tracker: tracker.clone(),
        closing: closing.clone(),
    });
    let pairings = Arc::new(Pairings::new(store.clone()));
    let feeds = Arc::new(Feeds::new(store.clone()));
    let webhooks = Arc::new(Webhooks::new(store.clone(), feeds.clone(), outbound, stop.clone()));
    webhooks.start().await.map_err(|error| StartError::Store(error.to_string()))?;
    vital.spawn("webhooks", webhooks.clone().watch());
    let api = Arc::new(Api {
        store,
        auth: called.auth,
        url: called.url,
        console: called.console,
        jobs,
        sessions: sessions.clone(),
        pairings: pairings.clone(),
        feeds,
        webhooks,
        underway: Underway::default(),
        calls: Default::default(),
        closing: closing.clone(),
        uploads: Semaphore::new(REST_UPLOADS),
        started_ms: now_ms(),
    });
    Ok(Rooms { api, pairings, sessions })
}

async fn bind(addresses: &[SocketAddr]) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        listeners.push((listener.local_addr().map_err(failed)?, listener));
    }
    Ok(listeners)
}

/// Listens for whoever scrapes.
async fn start_metrics(
    config: Metrics,
    rooms: &Rooms,
    vital: &mut Vital,
    stop: CancellationToken,
) -> Result<SocketAddr, StartError> {
    let (address, listener) = bind(&[config.listen]).await?.pop().ok_or(StartError::Interrupted)?;
    let watched = Arc::new(Watched { api: rooms.api.clone() });
    vital.spawn("metrics", metrics::serve(watched, listener, config.allow, stop));
    tracing::info!(%address, "metrics are answered");
    Ok(address)
}

/// Runs what blocks away from the tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StartError::Interrupted)
}

async fn start_jobs(
    config: &Config,
    (store, counters, outbound, stop): (SharedStore, Arc<Counters>, Arc<Outbound>, CancellationToken),
    events: mpsc::Receiver<SessionEvent>,
    vital: &mut Vital,
) -> Result<Jobs, StartError> {
    let folder = config.data_dir.join("documents");
    let space = config.limits.space;
    let opened = blocking({
        let folder = folder.clone();
        move || Documents::open(&folder, space)
    });
    let documents = opened.await?.map_err(|source| StartError::Documents { folder, source })?;
    let start = JobsStart {
        store,
        documents,
        counters,
        outbound,
        max_document_bytes: config.limits.max_document_bytes,
        keep_documents: config.retention.documents,
        keep_jobs: config.retention.jobs,
        stop,
    };
    let started = Jobs::start(start, events).await;
    let (jobs, running) = started.map_err(|error| StartError::Store(error.to_string()))?;
    vital.spawn("jobs", running);
    Ok(jobs)
}
