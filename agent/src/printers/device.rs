//! A character device or FIFO such as `/dev/usb/lp0`: bytes one way, no evidence but that they were taken (`sent`).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use rustix::fs::OFlags;
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Document, Journal, Outcome, Recovery, Task};
use super::config::Common;
use super::limits::{CHUNK_BYTES, RETRY_AWAY};
use super::outcome::{canceled_at, document_failed, nobody_knows, not_started, uncertain, without_intent};
use super::pump::{Pumped, pump};

/// A device file.
pub(super) struct Device {
    common: Common,
    path: PathBuf,
}

impl Device {
    pub(super) fn new(common: Common, path: PathBuf) -> Self {
        Self { common, path }
    }
}

/// The open device. Non-blocking, so that a printer without paper blocks no thread.
enum Line {
    /// The kernel says when it takes bytes.
    Polled(pipe::Sender),
    /// A device that takes bytes at any time and cannot be polled, such as `/dev/null`.
    Ready(File),
}

/// Opens the device. A FIFO that nobody reads is an error at once (ENXIO).
fn open(path: &Path) -> Result<Line, String> {
    let say = |error: io::Error| format!("{}: {error}", path.display());
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(say)?;
    let kind = file.metadata().map_err(say)?.file_type();
    if !(kind.is_char_device() || kind.is_fifo()) {
        return Err(format!(
            "{} is neither a character device nor a FIFO; for files use directory://",
            path.display()
        ));
    }
    let copy = file.try_clone().map_err(say)?;
    // Unchecked: what is true of a pipe (non-blocking, polled for writing) is true of a character device.
    match pipe::Sender::from_file_unchecked(file) {
        Ok(line) => Ok(Line::Polled(line)),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => {
            Ok(Line::Ready(copy))
        }
        Err(error) => Err(say(error)),
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Ready(file) => Poll::Ready(file.write(bytes)),
            Self::Polled(line) => Pin::new(line).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait::async_trait]
impl Backend for Device {
    async fn describe(&self) -> PrinterInfo {
        let mut info = self.common.info(Kind::Device, true);
        // Only looked at, never opened: opening some devices resets them.
        let problem = match tokio::fs::metadata(&self.path).await {
            Ok(found) if found.file_type().is_char_device() || found.file_type().is_fifo() => None,
            Ok(_) => Some(format!("{} is neither a character device nor a FIFO", self.path.display())),
            Err(error) => Some(format!("{}: {error}", self.path.display())),
        };
        if problem.is_some() {
            info.state = PrinterState::Unreachable;
            info.state_reasons = vec!["connecting-to-device".into()];
            info.state_message = problem;
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
        let first = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            first = document.read(CHUNK_BYTES) => match first {
                Ok(first) => first,
                Err(error) => return document_failed(&error, 0),
            },
        };
        let mut line = match open(&self.path) {
            Ok(line) => line,
            Err(why) => return not_started("connecting-to-device", why, RETRY_AWAY),
        };
        let note = serde_json::json!({ "device": self.path, "copy": task.copy });
        if let Err(error) = journal.intent(note).await {
            return without_intent(&error);
        }
        let pumped = pump(first, document, &mut line, std::future::pending::<()>(), journal, cancel).await;
        match pumped {
            Pumped::All { .. } => Outcome::Completed { witness: Witness::Sent, detail: None },
            Pumped::Document { error, bytes } => document_failed(&error, bytes),
            Pumped::Canceled { bytes } | Pumped::Watched { bytes, .. } => canceled_at(bytes),
            Pumped::Device { error, bytes: 0 } => {
                not_started("connecting-to-device", format!("{}: {error}", self.path.display()), RETRY_AWAY)
            }
            Pumped::Device { error, bytes } => uncertain(
                "connection-lost",
                format!("{} failed after {bytes} bytes: {error}", self.path.display()),
                bytes,
            ),
        }
    }

    async fn recover(&self, task: &Task, _note: &serde_json::Value) -> Recovery {
        Recovery::Decided(nobody_knows(task.bytes))
    }

    async fn watch(
        &self,
        task: &Task,
        _note: &serde_json::Value,
        _journal: &dyn Journal,
        _cancel: &CancellationToken,
    ) -> Outcome {
        nobody_knows(task.bytes)
    }
}
