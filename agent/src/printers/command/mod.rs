//! A program that gets the document on its standard input; its exit code is the outcome. Never through a shell.
//!
//! | end of the program | outcome |
//! |---|---|
//! | exit code 0 | completed, witness `program` |
//! | exit code 75 (EX_TEMPFAIL of sysexits.h) | it took nothing: tried again later |
//! | any other exit code | aborted: the program says that it did not print |
//! | ended by a signal | uncertain |
//!
//! The environment holds `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ`, `TMPDIR` of the agent and `INKWIRE_JOB`, `_ATTEMPT`,
//! `_TITLE`, `_FORMAT`, `_COPY`, `_BYTES` and `_OPTIONS` (JSON). An end of input before `INKWIRE_BYTES` bytes means that
//! the agent went away in the middle.

mod group;

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use tokio::process::Command as Process;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Document, Journal, Outcome, Recovery, Task};
use super::config::Common;
use super::limits::{CHUNK_BYTES, RETRY_PROGRAM, RETRY_REPAIR};
use super::outcome::{aborted, document_failed, nobody_knows, not_started, uncertain, without_intent};
use super::pump::{Pumped, pump};
use group::Group;

/// "Temporary failure, try again" of sysexits.h.
const EX_TEMPFAIL: i32 = 75;

/// A program as a printer.
pub(super) struct Command {
    common: Common,
    program: PathBuf,
    arguments: Vec<String>,
    working_dir: PathBuf,
}

impl Command {
    pub(super) fn new(
        common: Common,
        program: PathBuf,
        arguments: Vec<String>,
        working_dir: PathBuf,
    ) -> Self {
        Self { common, program, arguments, working_dir }
    }

    fn process(&self, task: &Task) -> Process {
        let mut process = Process::new(&self.program);
        process.args(&self.arguments).current_dir(&self.working_dir).env_clear();
        for name in ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                process.env(name, value);
            }
        }
        // A NUL cannot be in an environment; nothing else in a title can do harm there.
        let clean = |text: &str| text.replace('\0', "");
        process
            .env("INKWIRE_JOB", task.job.to_string())
            .env("INKWIRE_ATTEMPT", task.attempt.to_string())
            .env("INKWIRE_TITLE", clean(&task.title))
            .env("INKWIRE_FORMAT", clean(&task.format))
            .env("INKWIRE_COPY", task.copy.to_string())
            .env("INKWIRE_BYTES", task.bytes.to_string())
            .env("INKWIRE_OPTIONS", serde_json::json!(task.options).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        process
    }

    /// Feeds the program and waits for its end, or ends it.
    async fn run(
        &self,
        mut group: Group,
        first: Bytes,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        let Some(mut input) = group.take_input() else {
            group.end().await;
            return not_started("program-failed", "the program has no standard input", RETRY_REPAIR);
        };
        let pumped = pump(first, document, &mut input, group.wait(), journal, cancel).await;
        let bytes = given(&pumped);
        let ended = match pumped {
            Pumped::Watched { what, .. } => what,
            // It closed its input and goes on: what it makes of that it says with its exit code.
            Pumped::All { .. } | Pumped::Device { .. } => {
                drop(input);
                tokio::select! {
                    biased;
                    ended = group.wait() => ended,
                    () = cancel.cancelled() => return stop(group, bytes, true).await,
                }
            }
            Pumped::Canceled { bytes } => {
                return stop(group, bytes, false).await;
            }
            Pumped::Document { error, bytes } => {
                // Ended before its input is closed: it must not take a part for the whole.
                group.end().await;
                return document_failed(&error, bytes);
            }
        };
        let said = group.last_words().await;
        match ended {
            Ok(status) => {
                if !status.success() {
                    group.end().await;
                }
                judge(status, &said, bytes)
            }
            Err(error) => {
                group.end().await;
                uncertain("program-lost", format!("cannot wait for the program: {error}"), bytes)
            }
        }
    }
}

/// After a cancel: ends the program and says what its end means.
async fn stop(mut group: Group, bytes: u64, whole: bool) -> Outcome {
    let status = group.end().await;
    match status.and_then(|status| status.code()) {
        Some(0) if whole => judge_zero(),
        // It says itself that it did not print.
        Some(1..) => Outcome::Canceled,
        _ if bytes == 0 => Outcome::Canceled,
        _ => uncertain(
            "canceled-at-device",
            format!("the program was ended when it had been given {bytes} bytes"),
            bytes,
        ),
    }
}

fn given<T>(pumped: &Pumped<T>) -> u64 {
    match pumped {
        Pumped::All { bytes }
        | Pumped::Document { bytes, .. }
        | Pumped::Device { bytes, .. }
        | Pumped::Canceled { bytes }
        | Pumped::Watched { bytes, .. } => *bytes,
    }
}

fn judge_zero() -> Outcome {
    Outcome::Completed { witness: Witness::Program, detail: None }
}

/// Pure: what the end of a program means.
fn judge(status: ExitStatus, said: &str, bytes: u64) -> Outcome {
    let with = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match status.code() {
        Some(0) => judge_zero(),
        Some(EX_TEMPFAIL) => {
            not_started("program-not-ready", with("the program asks to be tried again".into()), RETRY_PROGRAM)
        }
        Some(code) => aborted("program-failed", with(format!("the program ended with exit code {code}"))),
        None => {
            uncertain("program-killed", with(format!("the program was ended by a signal ({status})")), bytes)
        }
    }
}

#[async_trait::async_trait]
impl Backend for Command {
    async fn describe(&self) -> PrinterInfo {
        let mut info = self.common.info(Kind::Command, true);
        if let Some(problem) = group::not_runnable(&self.program).await {
            info.state = PrinterState::Unreachable;
            info.state_reasons = vec!["program-missing".into()];
            info.state_message = Some(problem);
        } else {
            info.state = PrinterState::Idle;
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
        let note = serde_json::json!({ "program": self.program, "copy": task.copy });
        if let Err(error) = journal.intent(note).await {
            return without_intent(&error);
        }
        // A program can act before it has read a byte, so the intent stands before its start.
        match Group::start(self.process(task)) {
            Ok(group) => self.run(group, first, document, journal, cancel).await,
            Err(error) => {
                let detail = format!("{} cannot be started: {error}", self.program.display());
                not_started("program-missing", detail, RETRY_REPAIR)
            }
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
