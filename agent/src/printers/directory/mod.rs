//! Files in a directory, each with a sidecar of JSON.
//!
//! The names are `<job>-<attempt>-<copy>.<ext>` and the same with `.json`. Everything is written to hidden `.part` files in
//! the same directory and synced; then the intent is written; then the sidecar and after it the document get their
//! names. So a document that can be seen is whole, has its sidecar, and after a crash its presence is the outcome.

mod names;
#[cfg_attr(unix, path = "place_unix.rs")]
#[cfg_attr(not(unix), path = "place_other.rs")]
mod place;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Document, Journal, Outcome, Recovery, Task};
use super::config::Common;
use super::limits::{CHUNK_BYTES, RETRY_BUSY};
use super::outcome::{document_failed, not_started, uncertain, without_intent};
use names::Names;
use place::{Found, Place};

/// A directory as a printer.
pub(super) struct Directory {
    common: Common,
    path: PathBuf,
}

/// Why the files are not in place.
enum Failure {
    Ended(Outcome),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Directory {
    pub(super) fn new(common: Common, path: PathBuf) -> Self {
        Self { common, path }
    }

    async fn open(&self) -> io::Result<Place> {
        let path = self.path.clone();
        blocking(move || Place::open(&path)).await
    }

    /// Nothing went to its final name yet, so a failure here costs nothing.
    fn failed(&self, error: &io::Error) -> Outcome {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let reason = if full { "spool-area-full" } else { "directory-not-usable" };
        not_started(reason, format!("{}: {error}", self.path.display()), RETRY_BUSY)
    }

    /// Writes both hidden files and syncs them and the directory.
    async fn prepare(
        &self,
        place: &Place,
        names: &Names,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        place.remove(&names.document_part)?;
        place.remove(&names.sidecar_part)?;
        let mut file = tokio::fs::File::from_std(place.create(&names.document_part)?);
        let mut digest = Sha256::new();
        let mut bytes = 0_u64;
        loop {
            let chunk = tokio::select! {
                () = cancel.cancelled() => return Err(Failure::Ended(Outcome::Canceled)),
                chunk = document.read(CHUNK_BYTES) => chunk,
            };
            // A hidden file is not printed: whatever ends this now ends it without a trace.
            let chunk = chunk.map_err(|error| Failure::Ended(document_failed(&error, 0)))?;
            if chunk.is_empty() {
                break;
            }
            digest.update(&chunk);
            file.write_all(&chunk).await?;
            bytes += chunk.len() as u64;
            journal.delivered(bytes);
        }
        file.flush().await?;
        file.sync_all().await?;
        let sidecar = sidecar(task, bytes, Sha256Digest::from_bytes(digest.finalize().into()));
        let mut file = tokio::fs::File::from_std(place.create(&names.sidecar_part)?);
        file.write_all(sidecar.as_bytes()).await?;
        file.flush().await?;
        file.sync_all().await?;
        place.sync()?;
        Ok(())
    }
}

fn sidecar(task: &Task, bytes: u64, sha256: Sha256Digest) -> String {
    let stored_at_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_millis() as u64)
        .unwrap_or_default();
    let value = serde_json::json!({
        "job": task.job, "attempt": task.attempt, "copy": task.copy, "title": task.title, "format": task.format,
        "bytes": bytes, "sha256": sha256, "options": task.options, "stored_at_ms": stored_at_ms,
    });
    format!("{value:#}\n")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn stored() -> Outcome {
    Outcome::Completed { witness: Witness::Stored, detail: None }
}

/// Gives the files their names, sidecar first, and makes that durable.
fn publish(place: &Place, names: &Names) -> io::Result<()> {
    place.rename(&names.sidecar_part, &names.sidecar)?;
    place.rename(&names.document_part, &names.document)?;
    place.sync()
}

#[async_trait::async_trait]
impl Backend for Directory {
    async fn describe(&self) -> PrinterInfo {
        let mut info = self.common.info(Kind::Directory, false);
        info.state = PrinterState::Idle;
        if let Err(error) = self.open().await {
            info.state = PrinterState::Unreachable;
            info.state_reasons = vec!["directory-not-usable".into()];
            info.state_message = Some(format!("{}: {error}", self.path.display()));
        }
        info
    }

    fn hold_open(&self) -> Option<Duration> {
        None
    }

    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        let names = Names::of(task);
        let place = match self.open().await {
            Ok(place) => place,
            Err(error) => return self.failed(&error),
        };
        match place.find(&names.document) {
            Ok(Found::Nothing) => {}
            Ok(Found::File { bytes }) if bytes == task.bytes => return stored(),
            Ok(Found::File { .. } | Found::Other) => {
                let detail = format!("{} is there already and is not this document", names.document);
                return super::outcome::aborted("file-exists", detail);
            }
            Err(error) => return self.failed(&error),
        }
        let prepared = self.prepare(&place, &names, task, document, journal, cancel).await;
        if let Err(failure) = prepared {
            clean(&place, &names);
            return match failure {
                Failure::Ended(outcome) => outcome,
                Failure::Io(error) => self.failed(&error),
            };
        }
        if let Err(error) = journal.intent(serde_json::json!({ "file": names.document })).await {
            clean(&place, &names);
            return without_intent(&error);
        }
        match blocking(move || publish(&place, &names).map(|()| place)).await {
            Ok(_) => stored(),
            Err(error) => match self.recover(task, &serde_json::Value::Null).await {
                Recovery::NotStarted => self.failed(&error),
                Recovery::Decided(outcome) => outcome,
                Recovery::Underway | Recovery::AskLater { .. } => {
                    uncertain("directory-not-usable", error.to_string(), task.bytes)
                }
            },
        }
    }

    async fn recover(&self, task: &Task, _note: &serde_json::Value) -> Recovery {
        let names = Names::of(task);
        let look = |place: Place| {
            // What is seen now must also be there after the next crash.
            place.sync()?;
            Ok((
                place.find(&names.document)?,
                place.find(&names.document_part)?,
                place.find(&names.sidecar)?,
                place,
            ))
        };
        let looked = match self.open().await {
            Ok(place) => look(place),
            Err(error) => Err(error),
        };
        match looked {
            Ok((Found::File { bytes }, ..)) if bytes == task.bytes => Recovery::Decided(stored()),
            Ok((Found::Nothing, Found::File { .. }, sidecar, place)) => {
                // The sidecar may have its name already; without its document it must not stay.
                if matches!(sidecar, Found::File { .. })
                    && let Err(error) = place.remove(&names.sidecar)
                {
                    tracing::debug!(%error, "cannot remove a sidecar");
                }
                clean(&place, &names);
                Recovery::NotStarted
            }
            // The hidden file was durable before the intent: only our rename and a reader can have taken it away.
            Ok((Found::Nothing, _, Found::File { .. }, _)) => Recovery::Decided(Outcome::Completed {
                witness: Witness::Stored,
                detail: Some("the file has been taken away since".into()),
            }),
            Ok((Found::Nothing, ..)) => Recovery::Decided(uncertain(
                "file-not-found",
                format!("{} was prepared, and is gone", names.document),
                task.bytes,
            )),
            Ok(_) => Recovery::Decided(uncertain(
                "file-changed",
                format!("{} is there but is not the document as written", names.document),
                task.bytes,
            )),
            Err(error) => Recovery::AskLater {
                reasons: vec!["directory-not-usable".into()],
                detail: format!("{}: {error}", self.path.display()),
                retry_after: RETRY_BUSY,
            },
        }
    }

    async fn watch(
        &self,
        task: &Task,
        note: &serde_json::Value,
        _journal: &dyn Journal,
        _cancel: &CancellationToken,
    ) -> Outcome {
        match self.recover(task, note).await {
            Recovery::Decided(outcome) => outcome,
            Recovery::NotStarted | Recovery::Underway | Recovery::AskLater { .. } => {
                uncertain("directory-not-usable", "nothing is underway in a directory", task.bytes)
            }
        }
    }
}

/// Removes hidden files. What stays is overwritten by the next try.
fn clean(place: &Place, names: &Names) {
    for name in [&names.document_part, &names.sidecar_part] {
        if let Err(error) = place.remove(name) {
            tracing::debug!(%error, name, "cannot remove a temporary file");
        }
    }
}
