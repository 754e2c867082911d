//! A copy of a broker's folder, made while it works.
//!
//! Documents first, then the store at one moment, then the documents that came in between: so each row of the copy has its
//! file. A document that retention took away in between makes the moment too old, and another one is taken.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use inkwire_service::fsio::{WriteError, create_dir_durable, sync_dir, write_durable};
use serde::Serialize;

use super::{DOCUMENTS, STORE, UnusableFile, documents};
use crate::store::{Entry, Held, Inspector, OpenError};

/// Moments that are tried: retention removes some hundred documents at once, and then rests for minutes.
const MOMENTS: u32 = 5;
/// Small files beside the store that a broker cannot do without.
const BESIDE: [&str; 5] =
    ["token-keys.json", "certs/ca.pem", "certs/ca.key", "certs/server.pem", "certs/server.key"];

/// What was copied.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// The new folder.
    pub folder: PathBuf,
    /// Bytes of the store's copy.
    pub store_bytes: u64,
    /// Documents that have files.
    pub documents: u64,
    /// Their bytes.
    pub document_bytes: u64,
    /// Documents that are not what their rows say, or are missing; `check` says the same of the folder itself.
    pub damaged: Vec<String>,
}

/// Why there is no copy. What was copied so far has been removed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is there already.
    #[error("{} exists already: name a folder that does not, such as one with the date in its name", .0.display())]
    Exists(PathBuf),
    /// The store cannot be read.
    #[error("the store cannot be copied: {0}")]
    Store(String),
    /// Documents went away faster than they were copied.
    #[error("documents were removed while they were copied, {MOMENTS} times: try again")]
    Moving,
    /// A file or folder cannot be read or written.
    #[error(transparent)]
    Unusable(#[from] UnusableFile),
    /// The same of a small file.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Copies a broker's data folder to a new folder, whether or not the broker runs, and syncs the copy. It gets its name when it is
/// whole. Blocks.
pub fn backup(data_dir: &Path, to: &Path) -> Result<Backup, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let beside = to.with_file_name(name);
    create_dir_durable(&beside, 0o700)?;
    let made = Copy { from: data_dir, to: &beside, copied: HashSet::new(), damaged: Vec::new() }.make();
    let made = made.and_then(|made| {
        std::fs::rename(&beside, to).map_err(UnusableFile::at(to))?;
        sync_dir(to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Backup { folder: to.to_owned(), ..made })
    });
    if made.is_err()
        && let Err(error) = std::fs::remove_dir_all(&beside)
    {
        tracing::warn!(folder = %beside.display(), %error, "a part of a backup stays: remove it");
    }
    made
}

struct Copy<'a> {
    from: &'a Path,
    to: &'a Path,
    copied: HashSet<(AccountId, DocumentId)>,
    damaged: Vec<String>,
}

impl Copy<'_> {
    fn make(mut self) -> Result<Backup, BackupError> {
        let live = Inspector::open(&self.from.join(STORE))?;
        for file in BESIDE {
            self.small(file)?;
        }
        self.documents_of(&live, None)?;
        let path = self.to.join(STORE);
        let mut moments = 0;
        let (documents, document_bytes) = loop {
            moments += 1;
            live.snapshot(&path).map_err(|error| BackupError::Store(error.to_string()))?;
            let copy = Inspector::open(&path)?;
            if let Some(done) = self.documents_of(&copy, Some(&live))? {
                break done;
            }
            drop(copy);
            if moments == MOMENTS {
                return Err(BackupError::Moving);
            }
            std::fs::remove_file(&path).map_err(UnusableFile::at(&path))?;
        };
        self.tidy(&Inspector::open(&path)?)?;
        let store_bytes = std::fs::metadata(&path).map_err(UnusableFile::at(&path))?.len();
        for folder in [self.to.join(DOCUMENTS), self.to.to_owned()] {
            sync_dir(&folder)?;
        }
        Ok(Backup {
            folder: self.to.to_owned(),
            store_bytes,
            documents,
            document_bytes,
            damaged: self.damaged,
        })
    }

    /// Copies a small file, if it is there.
    fn small(&self, name: &str) -> Result<(), BackupError> {
        let (from, to) = (self.from.join(name), self.to.join(name));
        match std::fs::read(&from) {
            Ok(bytes) => {
                if let Some(folder) = to.parent() {
                    create_dir_durable(folder, 0o700)?;
                }
                Ok(write_durable(&to, &zeroize::Zeroizing::new(bytes), 0o600)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(UnusableFile::at(&from)(error).into()),
        }
    }

    /// Copies every document that these rows have in files and that is not copied yet; says how many there are. None where one is
    /// missing and `live` has no row of it any more.
    fn documents_of(
        &mut self,
        rows: &Inspector,
        live: Option<&Inspector>,
    ) -> Result<Option<(u64, u64)>, BackupError> {
        create_dir_durable(&self.to.join(DOCUMENTS), 0o700)?;
        let (mut after, mut count, mut sum) = (0, 0, 0);
        while let Some((entries, last)) = rows.documents(after)? {
            after = last;
            for Entry { account, document, held } in entries {
                let Held::File { bytes, sha256 } = held else { continue };
                (count, sum) = (count + 1, sum + bytes);
                if self.copied.contains(&(account, document)) {
                    continue;
                }
                let wrong = self.document(account, document, (bytes, sha256))?;
                let Some(live) = live else { continue };
                if let Some(wrong) = wrong {
                    if !matches!(live.document(account, document)?, Some(Held::File { .. })) {
                        return Ok(None);
                    }
                    self.damaged.push(wrong);
                }
            }
        }
        Ok(Some((count, sum)))
    }

    /// Copies a document and says what is wrong with it.
    fn document(
        &mut self,
        account: AccountId,
        document: DocumentId,
        expected: (u64, Option<Sha256Digest>),
    ) -> Result<Option<String>, BackupError> {
        let from = documents::path(&self.from.join(DOCUMENTS), account, document);
        if !from.exists() {
            return Ok(Some(format!("{}: there is no such file", from.display())));
        }
        let to = documents::path(&self.to.join(DOCUMENTS), account, document);
        if let Some(folder) = to.parent() {
            create_dir_durable(folder, 0o700)?;
        }
        let mut file = File::create(&to).map_err(UnusableFile::at(&to))?;
        let found = documents::read(&from, &mut file).map_err(UnusableFile::at(&from))?;
        file.sync_all().map_err(UnusableFile::at(&to))?;
        let Some(found) = found else {
            std::fs::remove_file(&to).map_err(UnusableFile::at(&to))?;
            return Ok(Some(format!("{}: there is no such file", from.display())));
        };
        self.copied.insert((account, document));
        if let Some((_, detail)) = documents::differs(expected, found) {
            self.damaged.push(format!("{}: {detail}", from.display()));
        }
        Ok(None)
    }

    /// Removes what was copied and is of no row of the copy.
    fn tidy(&self, copy: &Inspector) -> Result<(), BackupError> {
        for &(account, document) in &self.copied {
            if !matches!(copy.document(account, document)?, Some(Held::File { .. })) {
                let path = documents::path(&self.to.join(DOCUMENTS), account, document);
                std::fs::remove_file(&path).map_err(UnusableFile::at(&path))?;
            }
        }
        for folder in std::fs::read_dir(self.to.join(DOCUMENTS)).map_err(UnusableFile::at(self.to))? {
            sync_dir(&folder.map_err(UnusableFile::at(self.to))?.path())?;
        }
        Ok(())
    }
}
