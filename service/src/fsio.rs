//! Small files that must be whole after a crash: written beside, synced, renamed, and the folder synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that could not be written; the old one is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {source}", path.display())]
pub struct WriteError {
    /// What was being done.
    pub step: &'static str,
    /// To which file or folder.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// Puts `bytes` at `path` on stable storage: after a crash there is the whole old file or the whole new one. `mode` are the
/// permissions (Unix; 0o600 for secrets), given before the first byte is written. On Windows the folder's permissions are inherited.
pub fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.tmp", std::process::id()));
    let beside = path.with_file_name(name);

    let written = write_synced(&beside, bytes, mode).and_then(|()| {
        let failed = |source| WriteError { step: "replace", path: path.to_owned(), source };
        std::fs::rename(&beside, path).map_err(failed)
    });
    if let Err(error) = written {
        // The failure that counts is the first; what is left over is named like a temporary file.
        if let Err(left) = std::fs::remove_file(&beside) {
            tracing::debug!(path = %beside.display(), error = %left, "temporary file stays");
        }
        return Err(error);
    }
    sync_dir(folder_of(path))
}

/// Makes a folder and those above it, durably; the last one gets `mode` (Unix) if it is made now.
pub fn create_dir_durable(path: &Path, mode: u32) -> Result<(), WriteError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path);
    if !above.is_dir() {
        create_dir_durable(above, 0o755)?;
    }
    let failed = |source| WriteError { step: "create", path: path.to_owned(), source };
    match system::create_dir(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(failed),
    }?;
    sync_dir(above)
}

/// Shuts everybody but the owner out of a folder that may have been made by somebody else (Unix; elsewhere the folder's own
/// rules hold): what a daemon keeps there is secret, also in files that a library makes.
pub fn keep_private(folder: &Path) -> Result<(), WriteError> {
    system::keep_private(folder).map_err(|source| WriteError {
        step: "protect",
        path: folder.to_owned(),
        source,
    })
}

/// Makes renames, new and removed names in the folder durable. Does nothing where the system has no such call.
pub fn sync_dir(folder: &Path) -> Result<(), WriteError> {
    system::sync_dir(folder).map_err(|source| WriteError { step: "sync", path: folder.to_owned(), source })
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    system::set_mode(&mut options, mode);
    let written = options.open(path).and_then(|mut file: File| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| WriteError { step: "write", path: path.to_owned(), source })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    pub(super) fn set_mode(options: &mut OpenOptions, mode: u32) {
        options.mode(mode);
    }

    pub(super) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().mode(mode).create(path)
    }

    pub(super) fn keep_private(folder: &Path) -> io::Result<()> {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
    }

    pub(super) fn sync_dir(folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::OpenOptions;
    use std::io;
    use std::path::Path;

    pub(super) fn set_mode(_: &mut OpenOptions, _: u32) {}

    pub(super) fn create_dir(path: &Path, _: u32) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    pub(super) fn keep_private(_: &Path) -> io::Result<()> {
        Ok(())
    }

    // NTFS journals the names itself; a folder's handle cannot be flushed without administrator's rights.
    pub(super) fn sync_dir(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_could_read_is_shut() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        keep_private(folder.path()).unwrap();
        assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        write_durable(&path, b"old", 0o600).unwrap();
        write_durable(&path, b"newer", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        assert_eq!(names(folder.path()), ["device.key"]);
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_kept_tight() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_dir_durable(&inner, 0o700).unwrap();
        create_dir_durable(&inner, 0o700).unwrap();
        assert_eq!(mode(&inner), 0o700);
        write_durable(&inner.join("key"), b"x", 0o600).unwrap();
        assert_eq!(mode(&inner.join("key")), 0o600);
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), b"old").unwrap();
        let error = write_durable(&path, b"new", 0o600).unwrap_err();
        assert!(error.to_string().contains("target"), "{error}");
        assert_eq!(
            (names(folder.path()), names(&path)),
            (vec!["target".to_owned()], vec!["inside".to_owned()])
        );
        assert!(write_durable(&folder.path().join("no/file"), b"", 0o600).is_err());
    }
}
