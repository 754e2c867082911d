//! What a back-end does for the print worker: describe a device, give it a document, find out after a crash.
//!
//! The order that keeps "never twice" true: the worker makes sure that the job may begin; the back-end prepares, then
//! calls [`Journal::intent`], which returns when the intent is on stable storage, and only then gives the first byte to
//! the device. Whatever goes wrong before the intent is [`Outcome::NotStarted`]; whatever goes wrong after the first
//! byte and cannot be cleared up with the device is [`Outcome::Uncertain`].

use std::time::Duration;

use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, JobId};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{JobOptions, PrinterInfo};
use tokio_util::sync::CancellationToken;

/// One copy of one job for one device.
#[derive(Debug, Clone)]
pub struct Task {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: Attempt,
    /// Which of `qty` copies, from 1.
    pub copy: u32,
    /// Shown on the device.
    pub title: String,
    /// MIME type.
    pub format: String,
    /// Size of the document.
    pub bytes: u64,
    /// Job Template attributes.
    pub options: JobOptions,
    /// The document may still be arriving: bytes go to the device as they come.
    pub streaming: bool,
}

/// The document, readable in order.
#[async_trait::async_trait]
pub trait Document: Send {
    /// The next bytes, at most `max`; empty at the end. While streaming it waits for bytes to become durable.
    /// After [`DocumentError::Gap`] it may be called again.
    async fn read(&mut self, max: usize) -> Result<Bytes, DocumentError>;
    /// Back to the first byte, for a copy or a protocol that must begin anew. Never while streaming.
    async fn rewind(&mut self) -> Result<(), DocumentError>;
}

/// Why a document cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// No byte came for longer than the device's stream may stay open.
    #[error("no byte came for {0:?}")]
    Gap(Duration),
    /// The bytes on disk are not what was acknowledged.
    #[error("the spooled document is damaged: {0}")]
    Damaged(String),
    /// The transfer was dropped: nothing more will come.
    #[error("the transfer was dropped")]
    Dropped,
}

/// Where a back-end writes down what must survive a crash, and says how far it is.
#[async_trait::async_trait]
pub trait Journal: Send + Sync {
    /// Returns when the intent is on stable storage. `note` is the back-end's own (a device's job id); it comes back in
    /// [`Backend::recover`]. May be called again to add to the note, for example before and after Create-Job.
    async fn intent(&self, note: serde_json::Value) -> Result<(), JournalError>;
    /// Bytes of this copy given to the device so far. Cheap; called often.
    fn delivered(&self, bytes: u64);
    /// The device wants a human while it has the job; an empty list means that it goes on.
    fn stopped(&self, reasons: &[String], detail: &str);
}

/// The intent could not be written: nothing may go to the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the print intent cannot be written to the ledger: {0}")]
pub struct JournalError(pub String);

/// How giving one copy to a device went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Printed, as far as the witness can say.
    Completed {
        /// Who says so.
        witness: Witness,
        /// What else is worth knowing.
        detail: Option<String>,
    },
    /// Canceled, and certainly nothing was or will be printed of this copy.
    Canceled,
    /// No byte was given, and it makes sense to try again after the delay (busy, unreachable, stopped).
    NotStarted {
        /// IPP `printer-state-reasons`.
        reasons: Vec<String>,
        /// In words.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Refused for good; nothing was printed of this copy.
    Aborted {
        /// A keyword.
        reason: String,
        /// In words, with the remedy.
        detail: String,
    },
    /// Bytes went out and nobody can say what became of them.
    Uncertain {
        /// A keyword.
        reason: String,
        /// In words.
        detail: String,
        /// Bytes of this copy that went out for sure or possibly.
        delivered_bytes: u64,
    },
}

/// What is found out about a copy whose intent was written by a process that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Recovery {
    /// Certainly nothing was printed: begin again (with a new intent).
    NotStarted,
    /// The device has it and is at work: [`Backend::watch`] it.
    Underway,
    /// It is decided.
    Decided(Outcome),
    /// The device cannot be asked now; try again after the delay.
    AskLater {
        /// IPP `printer-state-reasons`.
        reasons: Vec<String>,
        /// In words.
        detail: String,
        /// When to ask again.
        retry_after: Duration,
    },
}

/// One device, by whatever protocol.
#[async_trait::async_trait]
pub trait Backend: Send + Sync {
    /// What the device is, can and does now. Never fails: what cannot be asked is `unreachable` with its reason.
    async fn describe(&self) -> PrinterInfo;

    /// How long a device stream may stay open over a gap; none for as long as it takes. Only for back-ends that stream.
    fn hold_open(&self) -> Option<Duration>;

    /// Gives one copy to the device and waits for the best evidence there is. `cancel` asks to stop as soon as it is certain
    /// what happened. Runs to its end: the worker never drops the future while the process lives.
    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome;

    /// What became of a copy whose last intent note was `note`, and of whose bytes `delivered` were noted.
    async fn recover(&self, task: &Task, note: &serde_json::Value) -> Recovery;

    /// Goes on watching a copy that [`Backend::recover`] found underway.
    async fn watch(
        &self,
        task: &Task,
        note: &serde_json::Value,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome;
}
