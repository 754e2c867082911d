//! A backup put in place of a broker's folder. The broker that starts on it knows that it is a copy: the mark beside the
//! store is not part of a backup.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use inkwire_service::check::Severity;
use inkwire_service::fsio::{WriteError, create_dir_durable, sync_dir};
use serde::Serialize;

use super::check::{CheckError, check};
use super::{UnusableFile, documents, take};

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The broker's folder.
    pub folder: PathBuf,
    /// Where the one of before is now.
    pub before: Option<PathBuf>,
    /// Files that were copied.
    pub files: u64,
}

/// Why the backup was not put back; the folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A broker runs on the folder.
    #[error("a broker runs on {}: stop it first", .0.display())]
    Running(PathBuf),
    /// The backup is not whole.
    #[error("the backup is damaged ({0}): take another one, or copy it by hand if you want it all the same")]
    Damaged(String),
    /// The backup cannot be looked at.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file or folder cannot be read or written.
    #[error(transparent)]
    Unusable(#[from] UnusableFile),
    /// The same of a folder.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Checks a backup, copies it and puts the copy in place of `data_dir`; what was there stays beside it under another name. As root,
/// the copy belongs to the owner of the folder that it replaces, or of the backup. Blocks.
pub fn restore(backup: &Path, data_dir: &Path) -> Result<Restored, RestoreError> {
    let report = check(backup, false)?;
    if let Some(found) = report.findings.iter().find(|found| found.severity == Severity::Damage) {
        return Err(RestoreError::Damaged(format!("{}: {}", found.subject, found.detail)));
    }
    let held = take(data_dir).map_err(UnusableFile::at(data_dir))?;
    if held.is_none() {
        return Err(RestoreError::Running(data_dir.to_owned()));
    }
    let is_there = data_dir.exists();
    let owner = if is_there { data_dir } else { backup };
    let owner = std::fs::metadata(owner).map_err(UnusableFile::at(owner))?;
    let owner = (rustix::process::geteuid().is_root()).then(|| (owner.uid(), owner.gid()));

    let beside = named(data_dir, &format!("{}.partial", std::process::id()));
    let mut files = 0;
    let copied = copy(backup, &beside, owner, &mut files);
    let done = copied.and_then(|()| {
        let before = is_there.then(|| named(data_dir, &format!("before-restore-{}", unix_seconds())));
        if let Some(before) = &before {
            std::fs::rename(data_dir, before).map_err(UnusableFile::at(data_dir))?;
        }
        std::fs::rename(&beside, data_dir).map_err(UnusableFile::at(data_dir))?;
        sync_dir(data_dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Restored { folder: data_dir.to_owned(), before, files })
    });
    if done.is_err()
        && beside.exists()
        && let Err(error) = std::fs::remove_dir_all(&beside)
    {
        tracing::warn!(folder = %beside.display(), %error, "a part of a backup stays: remove it");
    }
    done
}

/// The folder's name with something more.
fn named(folder: &Path, more: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(more);
    folder.with_file_name(name)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn copy(from: &Path, to: &Path, owner: Option<(u32, u32)>, files: &mut u64) -> Result<(), RestoreError> {
    create_dir_durable(to, 0o700)?;
    for entry in std::fs::read_dir(from).map_err(UnusableFile::at(from))? {
        let from = entry.map_err(UnusableFile::at(from))?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to, owner, files)?;
        } else if !is_of_a_process(&from) {
            let mut file = private(&to).map_err(UnusableFile::at(&to))?;
            documents::read(&from, &mut file).map_err(UnusableFile::at(&from))?;
            file.sync_all().map_err(UnusableFile::at(&to))?;
            give(&to, owner)?;
            *files += 1;
        }
    }
    give(to, owner)?;
    Ok(sync_dir(to)?)
}

/// What a running process keeps beside its files, and a look at the backup may have left.
fn is_of_a_process(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    [super::LOCK, super::MARK, "admin.sock", "store.sqlite3-shm"].contains(&name)
}

fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn give(path: &Path, owner: Option<(u32, u32)>) -> Result<(), UnusableFile> {
    match owner {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)).map_err(UnusableFile::at(path)),
        None => Ok(()),
    }
}
