//! The broker's process: what `Broker::start` does, without TLS and HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::limits::DIAL_TOKEN_LEEWAY;
use inkwire_protocol::message::{DialClaims, DialError as Refusal, DialRefused};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::broker::auth::dial::Admitted;
use crate::broker::documents::Documents;
use crate::broker::jobs::Jobs;
use crate::broker::sessions::counters::Counters;
use crate::broker::sessions::registry::Registry;
use crate::broker::sessions::{Dialled, Sessions, SharedSessions, begin};
use crate::broker::store::{SharedStore, SqliteStore};
use crate::disk::Disk;
use crate::rt::{self, Process, TaskTracker, scoped};
use crate::wire::{DialError, DialIo, Knock, Side, Socket, net};

/// A broker that runs.
pub(super) struct Broker {
    pub(super) process: Arc<Process>,
    pub(super) store: SharedStore,
    pub(super) jobs: Jobs,
}

impl Broker {
    /// Asks something within its process; none where that is gone.
    pub(super) async fn ask<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        scoped(Some(Arc::clone(&self.process)), work).await.ok()
    }
}

/// Starts one; none where it dies at once.
pub(super) async fn start(disk: &Arc<Disk>) -> Option<Broker> {
    let process = Process::new("broker", Arc::clone(disk));
    let (ready, started) = oneshot::channel();
    drop(tokio::spawn(scoped(Some(Arc::clone(&process)), run(ready))));
    let (store, jobs) = started.await.ok()?;
    Some(Broker { process, store, jobs })
}

async fn run(ready: oneshot::Sender<(SharedStore, Jobs)>) {
    let store: SharedStore = match SqliteStore::open(Path::new("/broker")) {
        Ok(store) => Arc::new(store),
        Err(error) => return crate::log::line(|| format!("the store does not open: {error}")),
    };
    let counters = Arc::new(Counters::default());
    let (events, heard) = mpsc::channel(256);
    let (jobs, running) = Jobs::start(Arc::clone(&store), Documents, Arc::clone(&counters), heard);
    drop(rt::spawn(running));
    let sessions = Arc::new(Sessions {
        store: Arc::clone(&store),
        registry: Registry::default(),
        counters,
        events,
        report_interval: Duration::from_secs(25),
        tracker: TaskTracker,
        closing: CancellationToken::new(),
    });
    let mut knocks = net(|net| net.listen());
    if ready.send((store, jobs)).is_err() {
        return;
    }
    while let Some(knock) = knocks.recv().await {
        drop(rt::spawn(open(Arc::clone(&sessions), knock)));
    }
}

/// What `listen` does at `/v1/agent`.
async fn open(sessions: SharedSessions, knock: Knock) {
    let Knock { bearer, conn, observed, answer } = knock;
    let dialled = match admit(&sessions, &bearer).await {
        Ok((admitted, last_token)) => Dialled { admitted, last_token, observed },
        Err(error) => {
            let refused = DialRefused { error, detail: format!("{error:?}"), broker_time_ms: rt::true_ms() };
            let body = serde_json::to_vec(&refused).unwrap_or_default();
            drop(answer.send(Err(DialError::Http { status: 401, retry_after: None, body })));
            return;
        }
    };
    if answer.send(Ok(())).is_err() {
        return;
    }
    let socket: Socket<DialIo> = Socket::new(conn, Side::Broker);
    begin(sessions, socket, dialled, Arc::new(())).await;
}

async fn admit(
    sessions: &SharedSessions,
    bearer: &str,
) -> Result<(Admitted, Option<inkwire_protocol::ids::Sha256Digest>), Refusal> {
    let claims: DialClaims = serde_json::from_str(bearer).map_err(|_| Refusal::Unauthenticated)?;
    let agent = claims.sub.parse().map_err(|_| Refusal::Unauthenticated)?;
    let row = sessions.store.dialling_agent(agent).await.map_err(|_| Refusal::Busy)?;
    let row = row.ok_or(Refusal::Unauthenticated)?;
    let now_s = rt::true_ms() / 1000;
    if now_s.abs_diff(claims.iat) > DIAL_TOKEN_LEEWAY.as_secs() {
        return Err(Refusal::Clock);
    }
    if row.clone {
        return Err(Refusal::Clone);
    }
    if claims.n <= row.dial_n {
        return Err(Refusal::Replayed);
    }
    let session = claims.th.map(|text| text.parse()).transpose().map_err(|_| Refusal::Unauthenticated)?;
    Ok((Admitted { agent, n: claims.n, session }, row.token))
}
