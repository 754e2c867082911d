//! Is everything there, and as it was written?

use std::path::{Path, PathBuf};
use std::time::Duration;

use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use inkwire_service::check::Report;

use super::documents::{self, Listing};
use super::{DOCUMENTS, MARK, STORE, UnusableFile, take};
use crate::store::{Entry, Held, Inspector, OpenError};

/// A file without a row may be of a document that is coming in just now; after this time it is not.
const COMING: Duration = Duration::from_secs(3600);
/// What to do about damage.
const REMEDY: &str = "look at the disk, and restore a backup (docs/operations.md)";

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no store.
    #[error("there is no store in {}: name the broker's data folder or a backup of it", .0.display())]
    NoStore(PathBuf),
    /// A newer broker wrote it.
    #[error("{0}")]
    Newer(String),
    /// A file or folder cannot be read.
    #[error(transparent)]
    Unusable(#[from] UnusableFile),
}

/// Looks whether a broker's data folder, or a backup of it, is whole: the store by SQLite's own check and by its counts,
/// and every document against its row. Writes nothing, and may run beside the broker. `quick` leaves out what reads every
/// byte: digests, and SQLite's indexes. Blocks.
pub fn check(data_dir: &Path, quick: bool) -> Result<Report, CheckError> {
    let path = data_dir.join(STORE);
    if !path.is_file() {
        return Err(CheckError::NoStore(data_dir.to_owned()));
    }
    // Not held: a look must not keep a broker from starting.
    let running = take(data_dir).map_err(UnusableFile::at(data_dir))?.is_none();
    let mut report = Report::of(data_dir, running);
    let folder = data_dir.join(DOCUMENTS);
    // Before the rows: a file that came later is of a row that came later.
    let listing = documents::list(&folder).map_err(UnusableFile::at(&folder))?;
    let store = match Inspector::open(&path) {
        Ok(store) => store,
        Err(error @ OpenError::Newer { .. }) => return Err(CheckError::Newer(error.to_string())),
        Err(error) => {
            report.damage("store-unreadable", path.display(), format!("{error}; {REMEDY}"));
            return Ok(report);
        }
    };
    let mut look = Look { report, store, folder, quick };
    look.at_the_store(&path);
    look.at_documents(listing);
    look.at_the_mark(&data_dir.join(MARK));
    Ok(look.report)
}

struct Look {
    report: Report,
    store: Inspector,
    folder: PathBuf,
    quick: bool,
}

impl Look {
    /// A query that fails is damage.
    fn ask<T>(&mut self, asked: impl FnOnce(&Inspector) -> rusqlite::Result<T>) -> Option<T> {
        match asked(&self.store) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.report.damage("store-damaged", STORE, format!("{error}; {REMEDY}"));
                None
            }
        }
    }

    fn at_the_store(&mut self, path: &Path) {
        if self.store.is_older() {
            self.report.note(
                "store-older",
                path.display(),
                "the next start of the broker brings it up to date",
            );
        }
        let quick = self.quick;
        for problem in self.ask(|store| store.problems(quick)).unwrap_or_default() {
            self.report.damage("store-damaged", path.display(), format!("{problem}; {REMEDY}"));
        }
        if let Some((jobs, open)) = self.ask(Inspector::jobs) {
            self.report.count("jobs", jobs);
            self.report.count("jobs_not_ended", open);
        }
        for (account, number, state) in self.ask(Inspector::jobs_without_document).unwrap_or_default() {
            let subject = format!("job {number} of {account}");
            self.report.damage(
                "document-row-missing",
                subject,
                format!("it is {state} and has no document; {REMEDY}"),
            );
        }
        for (account, wrong) in self.ask(Inspector::books).unwrap_or_default() {
            self.report.damage("books", format!("account {account}"), wrong);
        }
    }

    fn at_documents(&mut self, mut listing: Listing) {
        let mut after = 0;
        while let Some(Some((entries, last))) = self.ask(|store| store.documents(after)) {
            after = last;
            self.report.count("documents", entries.len() as u64);
            for entry in entries {
                if !matches!(entry.held, Held::Row { .. }) {
                    listing.files.remove(&(entry.account, entry.document));
                }
                self.at_document(entry);
            }
        }
        for ((account, document), files) in listing.files {
            self.without_row(account, document, &files);
        }
        for path in listing.strange {
            self.report.note("strange-file", path.display(), "no document is called so; nobody looks at it");
        }
    }

    fn at_document(&mut self, Entry { account, document, held }: Entry) {
        match held {
            Held::Coming => {}
            Held::Row { bytes, sha256, content } => {
                let content = content.unwrap_or_default();
                let found = (content.len() as u64, Sha256Digest::of(&content));
                if let Some((what, detail)) = documents::differs((bytes, sha256), found) {
                    self.report.damage(
                        what,
                        format!("document {document} in its row"),
                        format!("{detail}; {REMEDY}"),
                    );
                }
            }
            Held::File { bytes, sha256 } => {
                self.report.count("document_files", 1);
                self.at_file(account, document, (bytes, sha256));
            }
            Held::Unknown(kind) => {
                self.report.damage(
                    "store-damaged",
                    format!("document {document}"),
                    format!("kind {kind} is unknown"),
                );
            }
        }
    }

    fn at_file(&mut self, account: AccountId, document: DocumentId, expected: (u64, Option<Sha256Digest>)) {
        let path = documents::path(&self.folder, account, document);
        let wrong = if self.quick {
            match std::fs::metadata(&path) {
                Ok(found) if found.len() == expected.0 => None,
                Ok(found) => Some((
                    "document-size",
                    format!("it should have {} bytes and has {}", expected.0, found.len()),
                )),
                Err(error) => Some(("document-missing", error.to_string())),
            }
        } else {
            match documents::read(&path, &mut std::io::sink()) {
                Ok(Some(found)) => documents::differs(expected, found),
                Ok(None) => Some(("document-missing", "there is no such file".to_owned())),
                Err(error) => Some(("document-unreadable", error.to_string())),
            }
        };
        let Some((what, detail)) = wrong else { return };
        // Beside a running broker it may have been removed by now, row and file.
        if self.ask(|store| store.document(account, document)).is_some_and(|row| row.is_some()) {
            self.report.damage(what, path.display(), format!("{detail}; {REMEDY}"));
        }
    }

    fn without_row(&mut self, account: AccountId, document: DocumentId, files: &[PathBuf]) {
        if !matches!(self.ask(|store| store.document(account, document)), Some(None | Some(Held::Row { .. })))
        {
            return;
        }
        for path in files {
            if self.report.running && !documents::is_older(path, COMING) {
                self.report.count("files_coming", 1);
            } else {
                let detail = "no job has it; the next start of the broker removes it";
                self.report.note("file-without-row", path.display(), detail);
            }
        }
    }

    /// A running broker changes its mark in two steps at its start, so only a stopped one's is looked at.
    fn at_the_mark(&mut self, beside: &Path) {
        if self.report.running {
            return;
        }
        let Some(Some(mark)) = self.ask(Inspector::mark) else { return };
        let text = std::fs::read_to_string(beside).unwrap_or_default();
        if !text.lines().any(|line| line == mark.to_string()) {
            let detail = "this is a copy of the store: a broker that starts on it asks every agent what it knows before it dispatches";
            self.report.note("restored-copy", beside.display(), detail);
        }
    }
}
