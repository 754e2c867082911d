//! Printers and CUPS queues by IPP (RFC 8010, 8011; PWG 5100.14 "IPP Everywhere").
//!
//! ```text
//! describe: Get-Printer-Attributes
//! print:    intent -> Create-Job -> intent with the job's id -> Send-Document -> Get-Job-Attributes until it has ended
//! recover:  by id, or by a name that carries job, attempt and copy -> adopt | begin again | decided
//! ```
//! Questions and documents go over HTTP of our own, so that a document streams at the printer's pace; the `ipp` crate
//! gives the model, the encoding and (behind [`codec::decode`]) the decoding.

mod body;
mod broken;
mod client;
mod codec;
mod connect;
mod discover;
mod give;
mod info;
mod job;
mod note;
mod options;
mod queue;
mod recover;
mod request;
mod server;
mod status;
mod submit;
mod trust;
mod values;
mod watch;

use std::path::Path;
use std::time::Duration;

use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::backend::{Backend, Document, Journal, Outcome, Recovery, Task};
use super::config::Common;
use super::limits::{CHUNK_BYTES, IPP_HOLD_OPEN, RETRY_REPAIR};
use super::outcome::{aborted, document_failed, not_started, uncertain};
use client::{AskError, Client};
use info::Told;
use note::Note;
use trust::Pins;
use watch::Watched;

pub use discover::{DiscoverError, discover, discover_at};
pub(super) use server::CupsServer;

/// A printer or a queue.
pub(super) struct Ipp {
    common: Common,
    uri: Url,
    pin: Option<Sha256Digest>,
    cups: Option<CupsServer>,
    pins: Pins,
    printer: Result<Client, AskError>,
}

impl Ipp {
    pub(super) fn new(
        common: Common,
        uri: &Url,
        pin: Option<Sha256Digest>,
        cups: Option<CupsServer>,
        state_dir: &Path,
    ) -> Self {
        let pins = Pins::new(state_dir);
        let printer = Client::new(uri, pin, cups.clone(), &pins);
        Self { common, uri: uri.clone(), pin, cups, pins, printer }
    }

    fn printer(&self) -> Result<&Client, AskError> {
        self.printer.as_ref().map_err(Clone::clone)
    }

    fn cups(&self) -> CupsServer {
        self.cups.clone().unwrap_or_else(CupsServer::system)
    }

    fn witness(told: &Told) -> Witness {
        if told.is_cups { Witness::Queue } else { Witness::Device }
    }

    async fn told(&self) -> Result<Told, AskError> {
        let mut told = self.printer()?.printer().await?;
        told.is_cups |= client::is_queue(&self.uri);
        Ok(told)
    }

    /// The printer itself, or the queue that renders for it.
    async fn choose(&self, told: Told, format: &str) -> Result<Chosen<'_>, Outcome> {
        let takes = told.clone().info(&self.common).takes(format);
        let essence = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !takes && told.is_raster_only() && queue::RENDERED.contains(&essence.as_str()) {
            let made = queue::ensure(&self.cups(), self.uri.as_str(), &self.pins).await;
            let queue = made.map_err(|error| not_started(error.reason(), error.to_string(), RETRY_REPAIR))?;
            return Ok(Chosen::Queue(Box::new(queue)));
        }
        if !takes {
            let detail = format!("the printer does not take {format}; it takes {}", told.formats.join(", "));
            return Err(aborted("client-error-document-format-not-supported", detail));
        }
        let printer = self.printer().map_err(|error| submit::unasked(&error))?;
        Ok(Chosen::Printer {
            client: printer,
            witness: Self::witness(&told),
            creates_jobs: told.creates_jobs,
        })
    }

    /// The client that a note speaks of: the printer, or a queue, or what was configured then.
    fn noted(&self, note: &Note) -> Result<Client, AskError> {
        let uri =
            Url::parse(&note.uri).map_err(|error| AskError::Unsayable(format!("{}: {error}", note.uri)))?;
        let cups = client::is_queue(&uri).then(|| self.cups());
        Client::new(&uri, self.pin, cups, &self.pins)
    }
}

enum Chosen<'a> {
    Printer { client: &'a Client, witness: Witness, creates_jobs: bool },
    Queue(Box<Client>),
}

#[async_trait::async_trait]
impl Backend for Ipp {
    async fn describe(&self) -> PrinterInfo {
        match self.told().await {
            Ok(told) => {
                let raster_only = told.is_raster_only();
                let mut info = told.info(&self.common);
                if raster_only {
                    // Through a queue of the local CUPS.
                    let more =
                        queue::RENDERED.into_iter().filter(|format| !info.takes(format)).map(str::to_owned);
                    let more: Vec<String> = more.collect();
                    info.formats.extend(more);
                }
                info
            }
            Err(error) => {
                let mut info = self.common.info(Kind::Ipp, false);
                info.formats.clone_from(&self.common.formats);
                info.state = PrinterState::Unreachable;
                info.state_reasons = vec![error.reason().to_owned()];
                info.state_message = Some(error.to_string());
                info
            }
        }
    }

    fn hold_open(&self) -> Option<Duration> {
        Some(IPP_HOLD_OPEN)
    }

    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        let template = match options::attributes(&task.options) {
            Ok(template) => template,
            Err(error) => return aborted("unsupported-option", error.to_string()),
        };
        let told = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            told = self.told() => match told {
                Ok(told) => told,
                Err(error) => return submit::unasked(&error),
            },
        };
        if !told.accepts_jobs {
            let words = told.message.unwrap_or_else(|| "the printer does not accept jobs now".into());
            return not_started("server-error-not-accepting-jobs", words, RETRY_REPAIR);
        }
        let chosen = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            chosen = self.choose(told, &task.format) => match chosen {
                Ok(chosen) => chosen,
                Err(outcome) => return outcome,
            },
        };
        // The first bytes are at hand before the printer is bothered.
        let first = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            first = document.read(CHUNK_BYTES) => match first {
                Ok(first) => first,
                Err(error) => return document_failed(&error, 0),
            },
        };
        let (client, witness, creates_jobs) = match &chosen {
            Chosen::Printer { client, witness, creates_jobs } => (*client, *witness, *creates_jobs),
            Chosen::Queue(client) => (client.as_ref(), Witness::Queue, true),
        };
        let watched = Watched { client, witness, task, journal };
        if creates_jobs {
            watched.create_and_send(template, first, document, cancel).await
        } else {
            watched.print_job(template, first, document, cancel).await
        }
    }

    async fn recover(&self, task: &Task, note: &serde_json::Value) -> Recovery {
        let Some(note) = Note::of(note) else { return Recovery::Decided(unreadable(task)) };
        match self.noted(&note) {
            Ok(client) => {
                let watched = Watched { client: &client, witness: note.witness, task, journal: &Silent };
                watched.recover(&note).await
            }
            Err(error) => Recovery::Decided(uncertain("note-unreadable", error.to_string(), task.bytes)),
        }
    }

    async fn watch(
        &self,
        task: &Task,
        note: &serde_json::Value,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        let Some(note) = Note::of(note) else { return unreadable(task) };
        match self.noted(&note) {
            Ok(client) => {
                Watched { client: &client, witness: note.witness, task, journal }.go_on(&note, cancel).await
            }
            Err(error) => uncertain("note-unreadable", error.to_string(), task.bytes),
        }
    }
}

fn unreadable(task: &Task) -> Outcome {
    uncertain(
        "note-unreadable",
        "the note in the ledger is not of an IPP printer; was `uri` changed?",
        task.bytes,
    )
}

/// Where nothing is told to anybody: recovery only asks.
struct Silent;

#[async_trait::async_trait]
impl Journal for Silent {
    async fn intent(&self, _: serde_json::Value) -> Result<(), super::backend::JournalError> {
        Ok(())
    }

    fn delivered(&self, _: u64) {}

    fn stopped(&self, _: &[String], _: &str) {}
}
