//! A printer that does what a test wants.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkwire_agent::printers::backend::*;
use inkwire_protocol::ids::PrinterNumber;
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What the next copy comes to.
#[derive(Debug, Clone)]
pub enum Script {
    /// It comes out.
    Print,
    /// The printer is busy once.
    Busy,
    /// The intent is written, then nothing more happens.
    Hang,
}

pub struct Printer {
    /// What came out, copy by copy.
    pub out: Mutex<Vec<Vec<u8>>>,
    /// Scripts of the next copies, last first; empty prints.
    pub scripts: Mutex<Vec<Script>>,
    /// What recovery finds.
    pub recovery: Mutex<Recovery>,
    pub recovered: Mutex<Vec<serde_json::Value>>,
    /// A permit for each copy.
    pub gate: Semaphore,
    /// Grows when an intent was written.
    pub begun: Semaphore,
    pub streams: bool,
    pub hold_open: Option<Duration>,
    /// A copy is with it.
    pub busy: AtomicBool,
}

impl Printer {
    /// One that prints everything at once.
    pub fn ready() -> Arc<Self> {
        Arc::new(Self { gate: Semaphore::new(1000), ..Self::new() })
    }

    /// One that waits for a permit before each copy.
    pub fn gated() -> Arc<Self> {
        Arc::new(Self::new())
    }

    pub fn new() -> Self {
        Self {
            out: Mutex::default(),
            scripts: Mutex::default(),
            recovery: Mutex::new(Recovery::NotStarted),
            recovered: Mutex::default(),
            gate: Semaphore::new(0),
            begun: Semaphore::new(0),
            streams: false,
            hold_open: None,
            busy: AtomicBool::new(false),
        }
    }

    pub fn came_out(&self) -> Vec<Vec<u8>> {
        self.out.lock().unwrap().clone()
    }
}

/// Busy as long as this lives.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[async_trait::async_trait]
impl Backend for Printer {
    async fn describe(&self) -> PrinterInfo {
        PrinterInfo {
            number: PrinterNumber(0),
            name: String::new(),
            backend: Kind::Command,
            make_and_model: None,
            location: None,
            formats: vec!["application/octet-stream".into()],
            state: if self.busy.load(Ordering::Acquire) {
                PrinterState::Processing
            } else {
                PrinterState::Idle
            },
            state_reasons: vec![],
            state_message: None,
            capabilities: Default::default(),
            markers: vec![],
            streams: self.streams,
        }
    }

    fn hold_open(&self) -> Option<Duration> {
        self.hold_open
    }

    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        self.busy.store(true, Ordering::Release);
        let _until_the_end = Busy(&self.busy);
        tokio::select! {
            permit = self.gate.acquire() => permit.unwrap().forget(),
            () = cancel.cancelled() => return Outcome::Canceled,
        }
        let script = self.scripts.lock().unwrap().pop().unwrap_or(Script::Print);
        if matches!(script, Script::Busy) {
            return Outcome::NotStarted {
                reasons: vec!["printer-busy".into()],
                detail: "busy".into(),
                retry_after: Duration::from_millis(20),
            };
        }
        journal.intent(serde_json::json!({ "copy": task.copy })).await.unwrap();
        self.begun.add_permits(1);
        if matches!(script, Script::Hang) {
            std::future::pending::<()>().await;
        }
        let mut out = Vec::new();
        loop {
            match document.read(4096).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => out.extend_from_slice(&bytes),
                Err(error) => {
                    let reason = match error {
                        DocumentError::Gap(_) => "device-timeout",
                        DocumentError::Damaged(_) => "spool-damaged",
                        DocumentError::Dropped => "transfer-dropped",
                    };
                    let (reason, delivered_bytes) = (reason.to_owned(), out.len() as u64);
                    return Outcome::Uncertain { reason, detail: error.to_string(), delivered_bytes };
                }
            }
            journal.delivered(out.len() as u64);
        }
        self.out.lock().unwrap().push(out);
        Outcome::Completed { witness: Witness::Program, detail: None }
    }

    async fn recover(&self, _: &Task, note: &serde_json::Value) -> Recovery {
        self.recovered.lock().unwrap().push(note.clone());
        self.recovery.lock().unwrap().clone()
    }

    async fn watch(
        &self,
        _: &Task,
        _: &serde_json::Value,
        _: &dyn Journal,
        _: &CancellationToken,
    ) -> Outcome {
        Outcome::Completed { witness: Witness::Device, detail: None }
    }
}
