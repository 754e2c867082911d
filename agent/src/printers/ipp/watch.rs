//! Watches a job at its printer until it has ended there.

use std::time::Duration;

use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::PrinterState;
use ipp::model::Operation;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client::{AskError, Client};
use super::info::{self, Told};
use super::job::{View, key};
use crate::printers::backend::{Journal, Outcome, Task};
use crate::printers::limits::{
    CANCEL_AWAY, CANCEL_WITHIN, POLL_FIRST, POLL_LONGEST, POLL_PRINTER, WATCH_AWAY,
};
use crate::printers::outcome::uncertain;

/// One job at one printer.
pub(super) struct Watched<'a> {
    pub(super) client: &'a Client,
    pub(super) witness: Witness,
    pub(super) task: &'a Task,
    pub(super) journal: &'a dyn Journal,
}

/// What the journal was told last, so that it is told only of changes.
pub(super) struct Teller<'a> {
    journal: &'a dyn Journal,
    told: Vec<String>,
    printer_asked: Option<Instant>,
    printer: Told,
}

impl<'a> Teller<'a> {
    pub(super) fn new(journal: &'a dyn Journal) -> Self {
        Self { journal, told: Vec::new(), printer_asked: None, printer: Told::default() }
    }

    fn tell(&mut self, reasons: Vec<String>, detail: &str) {
        if reasons != self.told {
            self.journal.stopped(&reasons, detail);
            self.told = reasons;
        }
    }

    /// Tells whether the job goes on, and otherwise what the printer and the job give as reasons.
    pub(super) async fn look(&mut self, client: &Client, view: &View) {
        if self.printer_asked.is_none_or(|at| at.elapsed() >= POLL_PRINTER) {
            self.printer_asked = Some(Instant::now());
            match client.printer().await {
                Ok(told) => self.printer = told,
                Err(error) => tracing::debug!(%error, "the printer is not asked for its state"),
            }
        }
        if !view.is_stopped() && self.printer.state != PrinterState::Stopped {
            return self.tell(Vec::new(), "");
        }
        let mut reasons = self.printer.reasons.clone();
        reasons.extend(view.reasons.iter().filter(|reason| !self.printer.reasons.contains(reason)).cloned());
        if reasons.is_empty() {
            reasons.push("stopped".to_owned());
        }
        let words = self.printer.message.clone().or_else(|| view.message.clone()).unwrap_or_default();
        self.tell(reasons, &words);
    }
}

impl Client {
    /// What the printer tells about itself.
    pub(super) async fn printer(&self) -> Result<Told, AskError> {
        let answer =
            self.ask(self.request(Operation::GetPrinterAttributes)?.user().asks(info::ASKED)).await?;
        if !answer.is_ok() {
            return Err(AskError::Refused(answer.message()));
        }
        Ok(Told::of(&answer))
    }
}

impl Watched<'_> {
    /// Watches until the job has ended, the printer has forgotten it, or it cannot be asked for too long.
    pub(super) async fn until_ended(&self, mut id: i32, cancel: &CancellationToken) -> Outcome {
        let mut teller = Teller::new(self.journal);
        let mut pause = POLL_FIRST;
        let mut away_since: Option<Instant> = None;
        let mut canceled_at: Option<Instant> = None;
        let mut cancel_taken = false;
        loop {
            match self.look(&mut id).await {
                Ok(Some(view)) => {
                    away_since = None;
                    if let Some(outcome) = view.outcome(self.task, self.witness) {
                        return outcome;
                    }
                    teller.look(self.client, &view).await;
                }
                Ok(None) => return self.not_in_history(),
                Err(error) => {
                    let away = away_since.get_or_insert_with(Instant::now).elapsed();
                    let most = if canceled_at.is_some() { CANCEL_AWAY } else { WATCH_AWAY };
                    if away > most {
                        return self.uncertain(
                            "device-unreachable",
                            format!("the printer cannot be asked: {error}"),
                        );
                    }
                    teller.tell(vec![error.reason().to_owned()], &error.to_string());
                }
            }
            if let Some(at) = canceled_at {
                if at.elapsed() > CANCEL_WITHIN {
                    return self
                        .uncertain("cancel-not-confirmed", "the printer neither cancels nor ends the job");
                }
                if !cancel_taken {
                    cancel_taken = self.client.cancel(id).await.is_ok();
                }
            }
            tokio::select! {
                () = sleep(pause) => pause = longer(pause),
                () = cancel.cancelled(), if canceled_at.is_none() => {
                    canceled_at = Some(Instant::now());
                    cancel_taken = self.client.cancel(id).await.is_ok();
                    pause = POLL_FIRST;
                }
            }
        }
    }

    /// By id; if another job has that id now (some printers count from 1 after a restart), by name.
    async fn look(&self, id: &mut i32) -> Result<Option<View>, AskError> {
        let key = key(self.task);
        if let Some(view) = self.client.job(*id).await?.filter(|view| view.name.contains(&key)) {
            return Ok(Some(view));
        }
        let found = self.client.find(&key).await?;
        if let Some(now) = found.as_ref().and_then(|view| view.id) {
            *id = now;
        }
        Ok(found)
    }

    pub(super) fn not_in_history(&self) -> Outcome {
        self.uncertain("not-in-history", "the printer does not know the job any more")
    }

    fn uncertain(&self, reason: &str, detail: impl Into<String>) -> Outcome {
        uncertain(reason, detail, self.task.bytes)
    }
}

pub(super) fn longer(pause: Duration) -> Duration {
    (pause * 3 / 2).min(POLL_LONGEST)
}
