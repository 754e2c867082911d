//! The folder of documents, seen from outside: which files there are, and what is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use sha2::{Digest as _, Sha256};

/// Read and hashed at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Files by the document that they are of.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: BTreeMap<(AccountId, DocumentId), Vec<PathBuf>>,
    /// Whatever has no such name.
    pub(super) strange: Vec<PathBuf>,
}

/// Where the file of a whole document is.
pub(super) fn path(folder: &Path, account: AccountId, document: DocumentId) -> PathBuf {
    folder.join(account.to_string()).join(document.to_string())
}

/// Lists `documents/`; a folder that is not there is an empty one.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in entries(folder)? {
        let account = entry.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        match account {
            Some(account) if entry.is_dir() => {
                for file in entries(&entry)? {
                    let stem = file.file_stem().and_then(|name| name.to_str());
                    match stem.and_then(|name| name.parse().ok()) {
                        Some(document) => listing.files.entry((account, document)).or_default().push(file),
                        None => listing.strange.push(file),
                    }
                }
            }
            _ => listing.strange.push(entry),
        }
    }
    Ok(listing)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether nobody has touched the file for so long. A file that has gone is not old.
pub(super) fn is_older(path: &Path, than: Duration) -> bool {
    let age = std::fs::metadata(path)
        .and_then(|found| found.modified())
        .map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age > than)
}

/// Length and digest of a file, which goes to `copy` on the way; none where there is no such file.
pub(super) fn read(path: &Path, copy: &mut dyn Write) -> io::Result<Option<(u64, Sha256Digest)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..count).unwrap_or_default();
        hasher.update(part);
        copy.write_all(part)?;
        bytes += count as u64;
    }
    Ok(Some((bytes, Sha256Digest::from_bytes(hasher.finalize().into()))))
}

/// What is wrong with a document of this length and digest, if anything is.
pub(super) fn differs(
    expected: (u64, Option<Sha256Digest>),
    found: (u64, Sha256Digest),
) -> Option<(&'static str, String)> {
    let (bytes, sha256) = expected;
    if bytes != found.0 {
        return Some(("document-size", format!("it should have {bytes} bytes and has {}", found.0)));
    }
    match sha256 {
        Some(sha256) if sha256 != found.1 => {
            Some(("document-digest", format!("its SHA-256 should be {sha256} and is {}", found.1)))
        }
        Some(_) => None,
        None => Some(("document-digest", "its row has no SHA-256".to_owned())),
    }
}
