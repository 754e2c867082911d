//! What an operator does with a broker's folder from outside: look whether all is there, copy it, put a copy back.
//!
//! ```text
//!   check    store ◀── rows ──▶ documents/        reads only, also beside a running broker
//!   backup   documents ─▶ store at one moment ─▶ what came meanwhile
//!   restore  check of the copy ─▶ copy ─▶ in place of the folder
//! ```

mod backup;
mod check;
mod documents;
mod restore;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

pub use backup::{Backup, BackupError, backup};
pub use check::{CheckError, check};
pub use restore::{RestoreError, Restored, restore};

const STORE: &str = "store.sqlite3";
const DOCUMENTS: &str = "documents";
const MARK: &str = "store.incarnation";
const LOCK: &str = "broker.lock";

/// Takes the folder, so that no broker starts meanwhile; none where one is running. A folder without a lock file is a copy.
fn take(data_dir: &Path) -> io::Result<Option<Held>> {
    let file = match File::open(data_dir.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Held { _lock: None })),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Held { _lock: Some(file) })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The folder is ours for as long as this lives.
#[derive(Debug)]
struct Held {
    _lock: Option<File>,
}

/// A file or folder that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct UnusableFile {
    path: PathBuf,
    source: io::Error,
}

impl UnusableFile {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}
