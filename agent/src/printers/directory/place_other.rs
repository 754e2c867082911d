//! A directory by its path, for systems without `openat`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A directory.
pub(super) struct Place(PathBuf);

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    File {
        bytes: u64,
    },
    /// A link, a directory, a device: not ours.
    Other,
}

impl Place {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path)?.is_dir() {
            true => Ok(Self(path.to_owned())),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// A new file; an error if the name is taken.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        fs::OpenOptions::new().write(true).create_new(true).open(self.0.join(name))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.find(to)? == Found::Other {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{to} is not a file")));
        }
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn find(&self, name: &str) -> io::Result<Found> {
        match fs::symlink_metadata(self.0.join(name)) {
            Ok(found) if found.is_file() => Ok(Found::File { bytes: found.len() }),
            Ok(_) => Ok(Found::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Removes a name; none there is fine.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Windows has no sync of directories; NTFS journals names.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
