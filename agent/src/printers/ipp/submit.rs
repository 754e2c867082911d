//! Gives one copy to a printer: Create-Job, intent with the device's id, Send-Document, watch.

use std::time::Duration;

use bytes::Bytes;
use ipp::attribute::IppAttribute;
use ipp::model::{DelimiterTag, Operation};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::broken;
use super::client::AskError;
use super::codec::Answer;
use super::give::Given;
use super::job::{View, key, name};
use super::note::{Note, Via};
use super::status::{Refusal, refusal};
use super::values::integer;
use super::watch::{Watched, longer};
use crate::printers::backend::{Document, Outcome};
use crate::printers::limits::{POLL_FIRST, RETRY_AWAY, RETRY_BUSY, RETRY_REPAIR};
use crate::printers::outcome::{
    aborted, canceled_at, document_failed, not_started, uncertain, without_intent,
};

/// How long the end of a job is looked for after its document failed.
const CLEAR_UP_WITHIN: Duration = Duration::from_secs(20);

impl Watched<'_> {
    /// Create-Job and Send-Document.
    pub(super) async fn create_and_send(
        &self,
        template: Vec<IppAttribute>,
        first: Bytes,
        document: &mut dyn Document,
        cancel: &CancellationToken,
    ) -> Outcome {
        let mut note = Note {
            uri: self.client.uri().to_owned(),
            via: Via::CreateJob,
            witness: self.witness,
            job_id: None,
            sent: false,
        };
        if let Err(error) = self.journal.intent(note.to_value()).await {
            return without_intent(&error);
        }
        let id = match self.create(template).await {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        note.job_id = Some(id);
        if let Err(error) = self.journal.intent(note.to_value()).await {
            self.give_back(id).await;
            return without_intent(&error);
        }
        if cancel.is_cancelled() {
            self.give_back(id).await;
            return Outcome::Canceled;
        }
        let request = self.client.request(Operation::SendDocument).map(|request| {
            let request = request.job(id).name("document-name", &self.task.title);
            request.format(&self.task.format).boolean("last-document", true)
        });
        let (given, bytes) = self.give(request, Some(id), first, document, cancel).await;
        if matches!(&given, Given::Answered(answer) if answer.is_ok()) {
            note.sent = true;
            self.note_sent(&note).await;
        }
        self.conclude(given, bytes, id, cancel).await
    }

    /// Print-Job, for printers that have no Create-Job: its id is known only when all is given.
    pub(super) async fn print_job(
        &self,
        template: Vec<IppAttribute>,
        first: Bytes,
        document: &mut dyn Document,
        cancel: &CancellationToken,
    ) -> Outcome {
        let mut note = Note {
            uri: self.client.uri().to_owned(),
            via: Via::PrintJob,
            witness: self.witness,
            job_id: None,
            sent: false,
        };
        if let Err(error) = self.journal.intent(note.to_value()).await {
            return without_intent(&error);
        }
        let request = self.client.request(Operation::PrintJob).map(|request| {
            let request =
                request.user().name("job-name", &name(self.task)).name("document-name", &self.task.title);
            request.format(&self.task.format).template(template)
        });
        let (given, bytes) = self.give(request, None, first, document, cancel).await;
        let answered = match &given {
            Given::Answered(answer) if answer.is_ok() => job_id(answer),
            Given::Answered(answer) => return self.refused(answer),
            Given::Document(_) | Given::Canceled | Given::Failed(_) | Given::Ended => None,
        };
        let id = match answered {
            Some(id) => Some(id),
            None => self.client.find(&key(self.task)).await.ok().flatten().and_then(|view| view.id),
        };
        let Some(id) = id else {
            return match given {
                // It took the document and gives no id: its word is the best there is.
                Given::Answered(_) | Given::Ended => self.not_in_history(),
                Given::Document(error) => document_failed(&error, bytes),
                Given::Canceled => canceled_at(bytes),
                Given::Failed(error) => self.send_failed(&error, bytes),
            };
        };
        note.job_id = Some(id);
        note.sent = matches!(given, Given::Answered(_));
        self.note_sent(&note).await;
        self.conclude(given, bytes, id, cancel).await
    }

    /// The copy is at the printer: it is watched all the same where this fails, only a crash would then make it uncertain.
    async fn note_sent(&self, note: &Note) {
        if let Err(error) = self.journal.intent(note.to_value()).await {
            tracing::warn!(%error, job_id = note.job_id, "that the printer has the document is not noted");
        }
    }

    async fn create(&self, template: Vec<IppAttribute>) -> Result<i32, Outcome> {
        let request = self.client.request(Operation::CreateJob);
        let request =
            request.map(|request| request.user().name("job-name", &name(self.task)).template(template));
        let answer = match request {
            Ok(request) => self.client.ask(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) if answer.is_ok() => job_id(&answer).ok_or_else(|| {
                not_started("not-an-ipp-printer", "the printer made a job without a number", RETRY_REPAIR)
            }),
            Ok(answer) => Err(self.refused(&answer)),
            Err(error) => {
                // It may have made the job all the same. Empty as it is it prints nothing, but it is in the way.
                if let Ok(Some(View { id: Some(id), .. })) = self.client.find(&key(self.task)).await {
                    self.give_back(id).await;
                }
                Err(unasked(&error))
            }
        }
    }

    /// The printer does not take the job; nothing was given, or nothing was kept of it.
    fn refused(&self, answer: &Answer) -> Outcome {
        let keyword = super::status::keyword(answer.status);
        match refusal(answer.status) {
            Refusal::Later => not_started(keyword, answer.message(), RETRY_BUSY),
            Refusal::Repair => not_started(keyword, answer.message(), RETRY_REPAIR),
            Refusal::Never => aborted(keyword, answer.message()),
        }
    }

    /// Cancels a job that was given nothing.
    async fn give_back(&self, id: i32) {
        if let Err(error) = self.client.cancel(id).await {
            tracing::debug!(%error, id, "an empty job stays at the printer until it times out there");
        }
    }

    async fn conclude(&self, given: Given, bytes: u64, id: i32, cancel: &CancellationToken) -> Outcome {
        match given {
            Given::Answered(answer) if answer.is_ok() => self.until_ended(id, cancel).await,
            Given::Ended => self.until_ended(id, cancel).await,
            Given::Answered(answer) => self.clear_up(id, bytes, self.refused(&answer)).await,
            Given::Failed(error) => self.clear_up(id, bytes, self.send_failed(&error, bytes)).await,
            Given::Document(error) => self.clear_up(id, bytes, document_failed(&error, bytes)).await,
            Given::Canceled => self.clear_up(id, bytes, canceled_at(bytes)).await,
        }
    }

    fn send_failed(&self, error: &AskError, bytes: u64) -> Outcome {
        match bytes {
            0 => unasked(error),
            _ => uncertain("connection-lost", format!("after {bytes} bytes: {error}"), bytes),
        }
    }

    /// The document did not go through. Cancels the job and looks at what became of it: a job that was never worked on has
    /// printed nothing, and then `feared` is more than must be feared.
    async fn clear_up(&self, id: i32, bytes: u64, feared: Outcome) -> Outcome {
        let until = Instant::now() + CLEAR_UP_WITHIN;
        let mut pause = POLL_FIRST;
        let mut canceled = false;
        loop {
            if !canceled {
                canceled = self.client.cancel(id).await.is_ok();
            }
            if let Ok(Some(view)) = self.client.job(id).await
                && view.is_terminal()
                && view.name.contains(&key(self.task))
            {
                return broken::seen(&view, self.task, self.witness, bytes, feared);
            }
            if Instant::now() > until {
                return broken::unseen(bytes, feared);
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }
}

fn job_id(answer: &Answer) -> Option<i32> {
    answer.group(DelimiterTag::JobAttributes).and_then(|group| integer(group, "job-id"))
}

/// Nothing was given.
pub(super) fn unasked(error: &AskError) -> Outcome {
    match error {
        AskError::Unsayable(_) => aborted(error.reason(), error.to_string()),
        AskError::Connect(super::connect::ConnectError::Away(_))
        | AskError::Lost(_)
        | AskError::Timeout(_) => not_started(error.reason(), error.to_string(), RETRY_AWAY),
        AskError::Connect(_) | AskError::Http(_) | AskError::Answer(_) | AskError::Refused(_) => {
            not_started(error.reason(), error.to_string(), RETRY_REPAIR)
        }
    }
}
