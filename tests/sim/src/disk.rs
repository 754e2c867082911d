//! Disks: files whose unsynced writes a crash may lose or tear, and databases in memory whose commits take their time.
//!
//! A killed process changes nothing any more. What it had written and not synced is then all there, not there, or partly: every
//! file for itself. A database's commit is all there or not there, which is what SQLite promises.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::chance;
use crate::rt::{Process, process};

/// What a disk holds under one name.
#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Both are alike below.
    same_below: usize,
    /// Its name is on stable storage.
    named: bool,
}

impl Content {
    fn sync(&mut self) {
        let same = self.same_below.min(self.synced.len()).min(self.now.len());
        self.synced.truncate(same);
        self.synced.extend_from_slice(&self.now[same..]);
        self.same_below = self.now.len();
    }

    /// What is left after a crash.
    fn settle(&mut self) {
        if self.now == self.synced {
            return;
        }
        let same = self.same_below.min(self.synced.len()).min(self.now.len());
        let cut = same + chance::below((self.now.len() - same) as u64 + 1) as usize;
        self.now = match chance::below(4) {
            0 => std::mem::take(&mut self.synced),
            1 => std::mem::take(&mut self.now),
            // The beginning of what was written.
            2 => {
                let mut torn = self.now[..cut].to_vec();
                torn.extend_from_slice(self.synced.get(cut..).unwrap_or_default());
                torn
            }
            // The length came, the bytes did not.
            _ => {
                let mut holed = self.now.clone();
                holed[cut..].fill(0);
                holed
            }
        };
        self.synced.clone_from(&self.now);
        self.same_below = self.now.len();
    }
}

type Shared = Arc<Mutex<Content>>;

/// A disk, which outlives processes.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    name: String,
    files: Mutex<BTreeMap<PathBuf, Shared>>,
    databases: Mutex<BTreeMap<String, Connection>>,
    full: AtomicBool,
    fails: AtomicU64,
    /// How long a sync takes.
    pub(crate) sync_us: AtomicU64,
    /// Another one each time all of it is replaced.
    generation: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static DISKS: AtomicU64 = AtomicU64::new(0);

impl Disk {
    pub(crate) fn new(name: impl Into<String>) -> Arc<Self> {
        // Databases in memory are of the whole program; runs beside this one have their own.
        let name = format!("{}-{}", name.into(), DISKS.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { name, sync_us: AtomicU64::new(300), ..Self::default() })
    }

    /// The process that wrote is gone.
    pub(crate) fn crash(&self) {
        let mut files = lock(&self.files);
        files.retain(|_, content| {
            let mut content = lock(content);
            content.settle();
            let kept = content.named || chance::one_in(2);
            content.named = true;
            kept
        });
    }

    /// Everything that was on it is gone.
    pub(crate) fn wipe(&self) {
        lock(&self.files).clear();
        lock(&self.databases).clear();
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// A copy of all that is on it now.
    pub(crate) fn copy(&self, name: &str) -> Arc<Self> {
        let copy = Self::new(name);
        copy.take(self);
        copy
    }

    /// Holds what the other one holds.
    pub(crate) fn take(&self, other: &Self) {
        self.wipe();
        for (path, content) in lock(&other.files).iter() {
            let now = lock(content).now.clone();
            let content = Content { synced: now.clone(), same_below: now.len(), now, named: true };
            lock(&self.files).insert(path.clone(), Arc::new(Mutex::new(content)));
        }
        for (file, from) in lock(&other.databases).iter() {
            let mut to = self.connect(file, open_flags());
            let backup = rusqlite::backup::Backup::new(from, &mut to);
            let copied = backup.and_then(|backup| backup.run_to_completion(1_000_000, Duration::ZERO, None));
            assert!(copied.is_ok(), "a database of {} is not copied: {copied:?}", other.name);
            lock(&self.databases).insert(file.clone(), to);
        }
    }

    /// Takes away files with this word in their names.
    pub(crate) fn remove(&self, word: &str) {
        lock(&self.files).retain(|path, _| !path.to_string_lossy().contains(word));
    }

    /// The so-many-th sync of a file from now fails, once.
    pub(crate) fn fail_at(&self, sync: u64) {
        self.fails.store(sync, Ordering::Release);
    }

    fn fails_now(&self) -> bool {
        self.fails.load(Ordering::Acquire) > 0 && self.fails.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Release);
        // A database grows no further; what fits into its free pages is still written.
        for database in lock(&self.databases).values() {
            let pages = if full { "1" } else { "1073741823" };
            let set = database
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0));
            assert!(set.is_ok(), "{set:?}");
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// The bytes of a file that a crash cannot take.
    pub(crate) fn synced(&self, path: &Path) -> Option<Vec<u8>> {
        lock(&self.files).get(path).map(|content| lock(content).synced.clone())
    }

    /// A connection of the checker's own to a database.
    pub(crate) fn look(&self, file: &str) -> Option<Connection> {
        lock(&self.databases).contains_key(file).then(|| self.connect(file, open_flags()))
    }

    fn connect(&self, file: &str, flags: OpenFlags) -> Connection {
        let generation = self.generation.load(Ordering::Relaxed);
        let uri = format!("file:{}-{generation}-{file}?mode=memory&cache=shared", self.name);
        match Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI) {
            Ok(connection) => connection,
            Err(error) => panic!("a database in memory does not open: {error}"),
        }
    }

    /// The names in a folder are on stable storage.
    fn keep_names(&self, folder: &Path) {
        for (path, content) in lock(&self.files).iter() {
            if path.parent() == Some(folder) {
                lock(content).named = true;
            }
        }
    }

    fn keep(&self, path: &Path) -> String {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        lock(&self.databases).entry(file.clone()).or_insert_with(|| self.connect(&file, open_flags()));
        file
    }
}

fn open_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn here() -> (Arc<Disk>, Arc<Process>) {
    match process() {
        Some(process) => (Arc::clone(&process.disk), process),
        None => panic!("only processes have disks"),
    }
}

/// Opens or makes a database of the process's disk.
pub(crate) fn sqlite(path: &Path) -> rusqlite::Result<Connection> {
    let (disk, _) = here();
    let file = disk.keep(path);
    Ok(disk.connect(&file, open_flags()))
}

/// A second connection, for reading.
pub(crate) fn sqlite_reader(path: &Path, _: OpenFlags) -> rusqlite::Result<Connection> {
    sqlite(path)
}

/// A commit is on its way to the disk.
pub(crate) async fn before_sync() {
    let (disk, process) = here();
    let us = disk.sync_us.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_micros(us / 2 + chance::below(us + 1))).await;
    if process.half_sync() {
        std::future::pending::<()>().await;
    }
}

/// It is there. Where the process dies now, nobody hears of it.
pub(crate) fn after_sync() {
    let (_, process) = here();
    process.half_sync();
}

/// Whether the process's disk is full.
pub(crate) fn is_full() -> bool {
    here().0.is_full()
}

/// How long blocking work takes before it begins.
pub(crate) fn blocking_us() -> u64 {
    match process() {
        Some(process) => chance::below(process.disk.sync_us.load(Ordering::Relaxed) / 8 + 1),
        None => 0,
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    content: Shared,
    place: u64,
    process: Arc<Process>,
    /// It is a folder: syncing it keeps the names in it.
    folder: Option<PathBuf>,
}

impl File {
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path)
    }

    pub(crate) fn options() -> OpenOptions {
        OpenOptions::new()
    }

    pub(crate) fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    fn alive(&self) -> io::Result<()> {
        if self.process.is_dead() { Err(io::Error::other("the process was killed")) } else { Ok(()) }
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.process.half_sync();
        self.alive()?;
        if self.process.disk.fails_now() {
            return Err(io::Error::other("the disk cannot write this"));
        }
        match &self.folder {
            Some(folder) => self.process.disk.keep_names(folder),
            None => lock(&self.content).sync(),
        }
        self.process.half_sync();
        self.alive()
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    pub(crate) fn try_lock(&self) -> Result<(), TryLockError> {
        Ok(())
    }
}

/// What a lock may come to; here nobody else wants one.
#[expect(dead_code, reason = "the product looks for what never happens here")]
#[derive(Debug)]
pub(crate) enum TryLockError {
    WouldBlock,
    Error(io::Error),
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = lock(&self.content);
        let rest = content.now.get(self.place as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.place += len as u64;
        Ok(len)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.alive()?;
        if self.process.disk.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut content = lock(&self.content);
        let start = self.place as usize;
        let end = start + bytes.len();
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[start..end].copy_from_slice(bytes);
        content.same_below = content.same_below.min(start);
        self.place = end as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = lock(&self.content).now.len() as u64;
        self.place = match to {
            SeekFrom::Start(place) => place,
            SeekFrom::End(by) => length.saturating_add_signed(by),
            SeekFrom::Current(by) => self.place.saturating_add_signed(by),
        };
        Ok(self.place)
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpenOptions {
    create: bool,
    truncate: bool,
}

impl OpenOptions {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    pub(crate) fn read(&mut self, _: bool) -> &mut Self {
        self
    }
    pub(crate) fn write(&mut self, _: bool) -> &mut Self {
        self
    }
    pub(crate) fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }
    pub(crate) fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.truncate = truncate;
        self
    }
    pub(crate) fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (disk, process) = here();
        let mut files = lock(&disk.files);
        let there = files.get(path.as_ref()).cloned();
        let content = match there {
            Some(content) => content,
            None if self.create && disk.is_full() => return Err(io::ErrorKind::StorageFull.into()),
            None if self.create => {
                let content = Shared::default();
                files.insert(path.as_ref().to_owned(), Arc::clone(&content));
                content
            }
            None if files.keys().any(|file| file.parent() == Some(path.as_ref())) => {
                let folder = Some(path.as_ref().to_owned());
                return Ok(File { content: Shared::default(), place: 0, process, folder });
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        if self.truncate {
            let mut content = lock(&content);
            content.now.clear();
            content.same_below = 0;
        }
        Ok(File { content, place: 0, process, folder: None })
    }
}

/// A name in a folder.
pub(crate) struct DirEntry(PathBuf);

impl DirEntry {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

pub(crate) fn read_dir(folder: impl AsRef<Path>) -> io::Result<std::vec::IntoIter<io::Result<DirEntry>>> {
    let (disk, _) = here();
    let files = lock(&disk.files);
    let inside = files.keys().filter(|path| path.parent() == Some(folder.as_ref()));
    Ok(inside.map(|path| Ok(DirEntry(path.clone()))).collect::<Vec<_>>().into_iter())
}

pub(crate) fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) fn create_dir_all(_: impl AsRef<Path>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (disk, process) = here();
    if process.is_dead() {
        return Err(io::Error::other("the process was killed"));
    }
    let mut files = lock(&disk.files);
    let content = files.remove(from.as_ref()).ok_or(io::ErrorKind::NotFound)?;
    files.insert(to.as_ref().to_owned(), content);
    Ok(())
}

pub(crate) fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let (disk, process) = here();
    if process.is_dead() {
        return Err(io::Error::other("the process was killed"));
    }
    lock(&disk.files).remove(path.as_ref()).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
}

pub(crate) mod fsio {
    //! Durable small things.

    use std::io;
    use std::path::Path;

    /// As in `inkwire_service`.
    #[derive(Debug)]
    pub(crate) struct FsError {
        pub(crate) source: io::Error,
    }

    impl std::fmt::Display for FsError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.source.fmt(f)
        }
    }

    pub(crate) fn keep_private(_: &Path) -> Result<(), FsError> {
        Ok(())
    }

    pub(crate) fn create_dir_durable(_: &Path, _: u32) -> Result<(), FsError> {
        Ok(())
    }

    pub(crate) fn sync_dir(folder: &Path) -> Result<(), FsError> {
        let (disk, process) = super::here();
        if process.half_sync() {
            return Err(FsError { source: io::Error::other("the process was killed") });
        }
        disk.keep_names(folder);
        Ok(())
    }
}
