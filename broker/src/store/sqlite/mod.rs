//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`, one writer thread, readers on their own connections.

mod addressed;
mod apply;
mod census;
mod events;
mod incarnation;
mod inspect;
mod job_pages;
mod map;
mod read;
mod read_agents;
mod read_jobs;
mod read_people;
mod receipts;
mod schema;
mod summary;
mod webhooks;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use inkwire_protocol::ids::{AccountId, StoreEpoch};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use super::{Change, CommitError, Meters, Outcome, ReadError};

pub(crate) use inspect::{Entry, Held, Inspector};

/// Older versions have a bug in WAL mode that can lose commits (sqlite.org/wal.html, "WAL-reset bug").
const OLDEST_SQLITE: i32 = 3_051_003;
/// Commits that may wait for the writer: more only wait in their callers.
const WRITE_QUEUE: usize = 1024;
/// Readers: queries are short, and more connections only share two cores.
const READERS: usize = 4;
/// Wake-ups that a slow subscriber may miss before it looks at everything.
const WAKEUPS: usize = 1024;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process has it.
    #[error("{0} is locked: another broker runs on this data folder; stop it first")]
    Locked(PathBuf),
    /// A newer broker wrote it.
    #[error(
        "{path} is a store of version {found}, this broker knows up to {known}: run the newer broker again, or restore a backup from before it"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// The library is too old.
    #[error("this binary has SQLite {0}, at least 3.51.3 is needed")]
    Library(&'static str),
    /// A file cannot be used.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// SQLite does not take the file.
    #[error("the store cannot be opened: {0}")]
    Engine(#[from] rusqlite::Error),
}

/// What is shared between callers, writer and readers.
#[derive(Debug)]
struct Shared {
    /// Why the store has failed for good.
    failed: watch::Sender<Option<String>>,
    store_epoch: watch::Sender<StoreEpoch>,
    wakeups: broadcast::Sender<AccountId>,
    meters: Meters,
    addressed: addressed::Addressed,
}

impl Shared {
    fn fail(&self, why: String) {
        tracing::error!(why, "the store has failed; nothing is retried, the process must end");
        self.failed.send_replace(Some(why));
    }
}

/// One caller's changes on their way to the writer.
#[derive(Debug)]
struct Request {
    changes: Vec<Change>,
    reply: oneshot::Sender<Result<Vec<Outcome>, CommitError>>,
}

/// The embedded engine. Dropping it lets the writer finish what has gathered and closes the file.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    readers: Readers,
    /// Held for as long as the store is open.
    _lock: File,
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl SqliteStore {
    /// Opens or makes `store.sqlite3` in `folder` and takes its lock. Blocks: call it before serving, or on a blocking thread.
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(OpenError::Library(rusqlite::version()));
        }
        let lock = take_lock(&folder.join("broker.lock"))?;
        let path = folder.join("store.sqlite3");
        let mut connection = Connection::open(&path)?;
        configure(&connection)?;
        schema::migrate(&mut connection)?;
        let store_epoch = incarnation::check(&mut connection, &folder.join("store.incarnation"))?;
        let shared = Arc::new(Shared {
            failed: watch::Sender::new(None),
            store_epoch: watch::Sender::new(store_epoch),
            wakeups: broadcast::Sender::new(WAKEUPS),
            meters: Meters::default(),
            addressed: addressed::Addressed::default(),
        });
        let (requests, queue) = mpsc::channel(WRITE_QUEUE);
        let for_writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer::run(connection, queue, &for_writer))
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        let readers = Readers { path, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() };
        Ok(Self { requests, shared, readers, _lock: lock })
    }

    /// The receipt that the store gives for so many facts.
    #[cfg(test)]
    pub(crate) async fn receipt(
        &self,
        agent: inkwire_protocol::ids::AgentId,
        store_epoch: StoreEpoch,
        facts_acked: u64,
    ) -> inkwire_protocol::ids::AckReceipt {
        let sign = move |db: &Connection| receipts::sign(db, agent, store_epoch, facts_acked);
        self.readers.read(sign).await.unwrap()
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { changes, reply }).await.map_err(|_| CommitError::Stopped)?;
        answer.await.unwrap_or(Err(CommitError::Stopped))
    }
}

impl Readers {
    /// Runs `query` on a reader of its own, on a blocking thread.
    async fn read<T, F>(&self, query: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|e| ReadError(e.to_string()))?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match pooled {
                Some(connection) => connection,
                None => open_reader(&path)?,
            };
            let result = query(&connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            result
        });
        let result = task.await.map_err(|e| ReadError(e.to_string()))?;
        result.map_err(|error| {
            tracing::error!(%error, "a query failed");
            ReadError(error.to_string())
        })
    }
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::File { path: path.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // 16 MiB of log between checkpoints: a checkpoint syncs twice, and labels should not pay for it often.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Without it SQLite plans a query anew whenever a bound value could make another plan better: more work than most queries.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
