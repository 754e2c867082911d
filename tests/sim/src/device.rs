//! Printers, and the paper that comes out of them: what is on it is the truth.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inkwire_protocol::ids::{Attempt, JobId, PrinterNumber};
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::printers::Backend;
use crate::agent::printers::backend::{Document, DocumentError, Journal, Outcome, Recovery, Task};
use crate::{log, watch};

/// What a printer can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Nature {
    /// Takes bytes and says nothing.
    Raw,
    /// Knows its jobs.
    Asked,
    /// Files.
    Folder,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Trouble {
    /// Wants paper; goes on where it stood.
    Stopped,
    /// Gone; what it had of a document is lost.
    Vanished,
    /// Takes everything and confirms nothing.
    Mute,
}

/// What was given of one copy.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) job: JobId,
    pub(crate) attempt: Attempt,
    pub(crate) copy: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) whole: bool,
}

#[derive(Debug, Default)]
struct State {
    sheets: Vec<Sheet>,
    trouble: Option<(Trouble, Instant)>,
    /// Each time it vanishes.
    vanished: u64,
}

/// A printer.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) nature: Nature,
    bytes_s: u64,
    state: Mutex<State>,
}

impl Device {
    pub(crate) fn new(name: String, nature: Nature, bytes_s: u64) -> Arc<Self> {
        Arc::new(Self { name, nature, bytes_s, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trouble(&self, trouble: Trouble, for_: Duration) {
        let mut state = self.lock();
        state.vanished += u64::from(trouble == Trouble::Vanished);
        state.trouble = Some((trouble, Instant::now() + for_));
    }

    pub(crate) fn mend(&self) {
        self.lock().trouble = None;
    }

    pub(crate) fn sheets(&self) -> Vec<Sheet> {
        self.lock().sheets.clone()
    }

    fn now(&self) -> Option<Trouble> {
        let state = self.lock();
        state.trouble.filter(|(_, until)| *until > Instant::now()).map(|(trouble, _)| trouble)
    }

    fn found(&self, task: &Task) -> Option<(bool, usize)> {
        let state = self.lock();
        let of = |sheet: &&Sheet| {
            sheet.job == task.job && sheet.attempt == task.attempt && sheet.copy == task.copy
        };
        let sheets = state.sheets.iter().filter(of);
        sheets.map(|sheet| (sheet.whole, sheet.bytes.len())).max()
    }
}

/// The back-end of a simulated printer.
pub(crate) struct Printer(pub(crate) Arc<Device>);

fn away(detail: &str) -> Outcome {
    let reasons = vec!["connecting-to-device".to_owned()];
    Outcome::NotStarted { reasons, detail: detail.into(), retry_after: Duration::from_secs(2) }
}

fn uncertain(reason: &str, given: u64) -> Outcome {
    Outcome::Uncertain { reason: reason.into(), detail: reason.into(), delivered_bytes: given }
}

impl Printer {
    fn witness(&self) -> Witness {
        match self.0.nature {
            Nature::Raw => Witness::HandedOver,
            Nature::Asked => Witness::Device,
            Nature::Folder => Witness::Stored,
        }
    }

    /// Whether bytes of a part count as given.
    fn keeps_parts(&self) -> bool {
        self.0.nature != Nature::Folder
    }

    /// Gives the bytes; the outcome where it ends early.
    async fn give(
        &self,
        sheet: usize,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Option<Outcome> {
        let device = &self.0;
        let vanished = device.lock().vanished;
        let mut given = 0;
        let mut stopped = false;
        loop {
            let count = |given: u64| if self.keeps_parts() { given } else { 0 };
            let bytes = match document.read(16 * 1024).await {
                Ok(bytes) => bytes,
                Err(error) => return Some(failed(&error, count(given))),
            };
            if bytes.is_empty() {
                if stopped {
                    journal.stopped(&[], "");
                }
                return None;
            }
            loop {
                if device.lock().vanished != vanished || device.now() == Some(Trouble::Vanished) {
                    return Some(match count(given) {
                        0 => away("it went away"),
                        given => uncertain("connection-reset", given),
                    });
                }
                if cancel.is_cancelled() {
                    return Some(match count(given) {
                        0 => Outcome::Canceled,
                        given => uncertain("canceled-at-device", given),
                    });
                }
                if device.now() != Some(Trouble::Stopped) {
                    break;
                }
                if !std::mem::replace(&mut stopped, true) {
                    journal.stopped(&["media-empty".to_owned()], "no paper");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if std::mem::take(&mut stopped) {
                journal.stopped(&[], "");
            }
            given += bytes.len() as u64;
            device.lock().sheets[sheet].bytes.extend_from_slice(&bytes);
            journal.delivered(given);
            let takes = Duration::from_micros(bytes.len() as u64 * 1_000_000 / device.bytes_s.max(1));
            tokio::time::sleep(takes).await;
        }
    }
}

fn failed(error: &DocumentError, given: u64) -> Outcome {
    match (error, given) {
        (DocumentError::Gap(_), 0) => away("the document is not ready"),
        (DocumentError::Damaged(_), 0) => {
            Outcome::Aborted { reason: "spool-damaged".into(), detail: error.to_string() }
        }
        (DocumentError::Dropped, 0) => Outcome::Canceled,
        (DocumentError::Gap(_) | DocumentError::Damaged(_) | DocumentError::Dropped, given) => {
            uncertain("document-failed", given)
        }
    }
}

#[async_trait::async_trait]
impl Backend for Printer {
    async fn describe(&self) -> PrinterInfo {
        let state = match self.0.now() {
            Some(Trouble::Stopped) => PrinterState::Stopped,
            Some(Trouble::Vanished) => PrinterState::Unreachable,
            Some(Trouble::Mute) | None => PrinterState::Idle,
        };
        PrinterInfo {
            number: PrinterNumber(0),
            name: self.0.name.clone(),
            backend: match self.0.nature {
                Nature::Raw => Kind::Socket,
                Nature::Asked => Kind::Ipp,
                Nature::Folder => Kind::Directory,
            },
            make_and_model: None,
            location: None,
            formats: vec!["application/octet-stream".into()],
            state,
            state_reasons: Vec::new(),
            state_message: None,
            capabilities: Default::default(),
            markers: Vec::new(),
            streams: self.0.nature != Nature::Folder,
        }
    }

    fn hold_open(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }

    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        match self.0.now() {
            Some(Trouble::Vanished) => return away("it is not there"),
            Some(Trouble::Stopped) => return away("it has no paper"),
            Some(Trouble::Mute) | None => {}
        }
        if cancel.is_cancelled() {
            return Outcome::Canceled;
        }
        let note = serde_json::json!({ "copy": task.copy });
        if let Err(error) = journal.intent(note).await {
            return away(&error.to_string());
        }
        watch::first_byte(task);
        let sheet = {
            let mut state = self.0.lock();
            let (job, attempt, copy) = (task.job, task.attempt, task.copy);
            state.sheets.push(Sheet { job, attempt, copy, bytes: Vec::new(), whole: false });
            state.sheets.len() - 1
        };
        if let Some(outcome) = self.give(sheet, document, journal, cancel).await {
            return outcome;
        }
        self.0.lock().sheets[sheet].whole = true;
        log::line(|| {
            format!(
                "{}: job {} attempt {} copy {} is on paper",
                self.0.name, task.job, task.attempt, task.copy
            )
        });
        // What it says of it takes a moment, in which much can happen.
        tokio::time::sleep(Duration::from_millis(20)).await;
        match (self.0.now(), self.0.nature) {
            (_, Nature::Folder) => Outcome::Completed { witness: Witness::Stored, detail: None },
            (Some(Trouble::Mute | Trouble::Vanished), Nature::Asked) => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                uncertain("device-timeout", task.bytes)
            }
            (Some(Trouble::Mute), Nature::Raw) => Outcome::Completed { witness: Witness::Sent, detail: None },
            (Some(Trouble::Vanished), Nature::Raw) => uncertain("connection-reset", task.bytes),
            (Some(Trouble::Stopped) | None, Nature::Raw | Nature::Asked) => {
                Outcome::Completed { witness: self.witness(), detail: None }
            }
        }
    }

    async fn recover(&self, task: &Task, _: &serde_json::Value) -> Recovery {
        if self.0.nature != Nature::Folder && self.0.now() == Some(Trouble::Vanished) {
            let reasons = vec!["connecting-to-device".to_owned()];
            let retry_after = Duration::from_secs(2);
            return Recovery::AskLater { reasons, detail: "it is not there".into(), retry_after };
        }
        let done = || Recovery::Decided(Outcome::Completed { witness: self.witness(), detail: None });
        match (self.0.nature, self.0.found(task)) {
            (Nature::Raw, _) => Recovery::Decided(uncertain("agent-restarted", task.bytes)),
            (Nature::Asked | Nature::Folder, Some((true, _))) => done(),
            (Nature::Asked, Some((false, 1..))) => Recovery::Decided(uncertain("part-at-device", task.bytes)),
            (Nature::Asked, Some((false, 0)) | None) | (Nature::Folder, Some((false, _)) | None) => {
                Recovery::NotStarted
            }
        }
    }

    async fn watch(
        &self,
        task: &Task,
        _: &serde_json::Value,
        _: &dyn Journal,
        _: &CancellationToken,
    ) -> Outcome {
        uncertain("never-underway", task.bytes)
    }
}
