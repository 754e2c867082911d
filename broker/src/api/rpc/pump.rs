//! From the event log to an app, at the pace of the reader (I7).

use std::collections::HashMap;
use std::sync::Arc;

use inkwire_protocol::app::{JobProgress, method};
use inkwire_protocol::ids::{AccountId, JobId};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use super::outgoing::Outgoing;
use crate::api::table::Context;
use crate::feed::{Piece, Reader};
use crate::limits::{SUBSCRIBER_READS_WITHIN, THROUGH_EVERY};

/// A subscription.
#[derive(Debug)]
pub(crate) struct Pump {
    account: AccountId,
    reader: Reader,
    /// None where nobody wants it.
    progress: Option<broadcast::Receiver<(AccountId, JobProgress)>>,
    only: Option<JobId>,
    /// Newest progress that was not sent yet.
    news: HashMap<JobId, JobProgress>,
    /// Read, and hidden by the filter: not told yet. When the app was told last how far the log has come.
    hidden: Option<Piece>,
    told: Instant,
}

impl Pump {
    /// A subscription of the caller's account; with progress where it is wanted, of one job or of all.
    pub(crate) fn new(context: &Context, reader: Reader, progress: bool, only: Option<JobId>) -> Self {
        Self {
            account: context.caller.account,
            reader,
            progress: progress.then(|| context.api.jobs.progress()),
            only,
            news: HashMap::new(),
            hidden: None,
            told: Instant::now(),
        }
    }

    /// Runs until it is cancelled, the app does not read, or the store fails.
    pub(super) async fn run(mut self, out: Arc<Outgoing>) {
        loop {
            if !out.wait_for_room(SUBSCRIBER_READS_WITHIN).await {
                let at = self.reader.at();
                return out.end(format!("events are not read: resume after {at}"));
            }
            let step = tokio::select! {
                biased;
                piece = self.reader.next() => piece.map(|piece| self.send(piece, &out)),
                progress = progress(&mut self.progress) => {
                    self.note(&progress);
                    self.send_progress(&out);
                    Ok(())
                }
                () = tokio::time::sleep_until(self.told + THROUGH_EVERY), if self.hidden.is_some() => {
                    self.tell_hidden(&out);
                    Ok(())
                }
            };
            if let Err(error) = step {
                tracing::error!(%error, "the event log could not be read");
                return out.end("the event log could not be read".to_owned());
            }
        }
    }

    fn send(&mut self, piece: Piece, out: &Outgoing) {
        if piece.is_hidden() {
            self.hidden = Some(piece);
            return;
        }
        self.hidden = None;
        self.told = Instant::now();
        out.push(piece.message());
    }

    /// What comes after `through` is all that a later subscription must look at.
    fn tell_hidden(&mut self, out: &Outgoing) {
        if let Some(piece) = self.hidden.take() {
            self.told = Instant::now();
            out.push(piece.message());
        }
    }

    fn note(&mut self, progress: &Result<(AccountId, JobProgress), RecvError>) {
        match progress {
            Ok((account, progress)) if *account == self.account => {
                if self.only.is_none_or(|job| job == progress.job) {
                    self.news.insert(progress.job, *progress);
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => self.progress = None,
        }
    }

    /// Newest wins: what cannot be sent now is replaced by what comes next.
    fn send_progress(&mut self, out: &Outgoing) {
        if out.has_room() {
            for (_, progress) in self.news.drain() {
                out.notify(method::JOB_PROGRESS, progress);
            }
        }
    }
}

async fn progress(
    receiver: &mut Option<broadcast::Receiver<(AccountId, JobProgress)>>,
) -> Result<(AccountId, JobProgress), RecvError> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
