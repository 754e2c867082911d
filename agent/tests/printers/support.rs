//! What the worker would give: a document, a journal, a task.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use inkwire_agent::printers::backend::{
    Backend, Document, DocumentError, Journal, JournalError, Outcome, Task,
};
use inkwire_agent::printers::{PrinterConfig, build};
use inkwire_protocol::ids::{Attempt, JobId};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const ZPL: &[u8] = b"^XA^FO50,60^A0,40^FDInkwire^FS^BY3^FO60,120^BCN,80,Y,N^FD12345^FS^XZ\n";
pub(crate) const ESC_POS: &[u8] = b"\x1b@\x1ba\x01Inkwire\n\x1d!\x11TOTAL 12.50\n\x1d!\x00\x1dV\x42\x00";

/// A real PDF that we did not make.
pub(crate) fn real_pdf() -> Vec<u8> {
    let path = "/usr/share/cups/data/default-testpage.pdf";
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}; install the package cups-filters"))
}

pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..bytes).map(|_| step()).collect()
}

pub(crate) fn task(bytes: usize, format: &str) -> Task {
    Task {
        job: JobId::from_uuid(Uuid::now_v7()),
        attempt: Attempt(1),
        copy: 1,
        title: "Delivery note 4711".into(),
        format: format.into(),
        bytes: bytes as u64,
        options: Default::default(),
        streaming: false,
    }
}

pub(crate) fn config(uri: impl Into<String>) -> PrinterConfig {
    PrinterConfig { name: "under-test".into(), uri: uri.into(), ..Default::default() }
}

pub(crate) fn backend(uri: impl Into<String>) -> Arc<dyn Backend> {
    build(&config(uri), Path::new("/nonexistent")).unwrap()
}

/// Fails the test with what to install.
pub(crate) fn need(program: &str, package: &str) {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    assert!(found.status.success(), "`{program}` is missing: install the package {package}");
}

/// What a document does next.
pub(crate) enum Step {
    Bytes(Vec<u8>),
    /// Waits until the test lets it go on.
    Wait(oneshot::Receiver<()>),
    Fail(DocumentError),
}

pub(crate) struct Script(VecDeque<Step>);

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(steps.into_iter().collect())
    }

    pub(crate) fn whole(bytes: &[u8]) -> Self {
        Self::new([Step::Bytes(bytes.to_vec())])
    }
}

#[async_trait::async_trait]
impl Document for Script {
    async fn read(&mut self, max: usize) -> Result<Bytes, DocumentError> {
        loop {
            match self.0.pop_front() {
                None => return Ok(Bytes::new()),
                Some(Step::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Step::Bytes(mut bytes)) => {
                    let rest = bytes.split_off(max.min(bytes.len()));
                    self.0.push_front(Step::Bytes(rest));
                    return Ok(bytes.into());
                }
                Some(Step::Wait(wait)) => wait.await.unwrap(),
                Some(Step::Fail(error)) => return Err(error),
            }
        }
    }

    async fn rewind(&mut self) -> Result<(), DocumentError> {
        Ok(())
    }
}

/// Everything that a back-end told.
pub(crate) struct Recorder {
    pub(crate) intents: watch::Sender<Vec<Value>>,
    pub(crate) delivered: watch::Sender<u64>,
    pub(crate) stopped: watch::Sender<Vec<Vec<String>>>,
    pub(crate) broken: bool,
    pub(crate) details: Mutex<Vec<String>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            intents: watch::Sender::new(Vec::new()),
            delivered: watch::Sender::new(0),
            stopped: watch::Sender::new(Vec::new()),
            broken: false,
            details: Mutex::new(Vec::new()),
        }
    }

    /// The note that recovery would get.
    pub(crate) fn note(&self) -> Value {
        self.intents.borrow().last().cloned().expect("an intent")
    }

    pub(crate) async fn until_delivered(&self, bytes: u64) {
        self.delivered.subscribe().wait_for(|now| *now >= bytes).await.unwrap();
    }

    pub(crate) async fn until_intents(&self, count: usize) {
        self.intents.subscribe().wait_for(|now| now.len() >= count).await.unwrap();
    }

    pub(crate) async fn until_stopped(&self, reason: &str) {
        let told = |now: &Vec<Vec<String>>| now.iter().any(|reasons| reasons.iter().any(|r| r == reason));
        self.stopped.subscribe().wait_for(told).await.unwrap();
    }
}

#[async_trait::async_trait]
impl Journal for Recorder {
    async fn intent(&self, note: Value) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError("disk full".into()));
        }
        self.intents.send_modify(|intents| intents.push(note));
        Ok(())
    }

    fn delivered(&self, bytes: u64) {
        self.delivered.send_replace(bytes);
    }

    fn stopped(&self, reasons: &[String], detail: &str) {
        self.details.lock().unwrap().push(detail.to_owned());
        self.stopped.send_modify(|all| all.push(reasons.to_vec()));
    }
}

/// Prints a whole document and gives what came of it.
pub(crate) async fn print(backend: &dyn Backend, bytes: &[u8], format: &str) -> (Outcome, Recorder) {
    let journal = Recorder::new();
    let task = task(bytes.len(), format);
    let outcome =
        within(backend.print(&task, &mut Script::whole(bytes), &journal, &CancellationToken::new())).await;
    (outcome, journal)
}

/// No test hangs.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("done within a minute")
}

pub(crate) fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::NotStarted { reasons, .. } => &reasons[0],
        Outcome::Aborted { reason, .. } | Outcome::Uncertain { reason, .. } => reason,
        other => panic!("no reason in {other:?}"),
    }
}
