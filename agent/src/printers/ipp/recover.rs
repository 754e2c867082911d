//! Asks a printer, after a crash of the agent, what became of a copy.

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client::AskError;
use super::job::{Begun, View, key};
use super::note::Note;
use super::watch::{Watched, longer};
use crate::printers::backend::{Outcome, Recovery};
use crate::printers::limits::{POLL_FIRST, RETRY_AWAY, TERMINATE_WITHIN};
use crate::printers::outcome::uncertain;

impl Watched<'_> {
    /// What became of the copy.
    pub(super) async fn recover(&self, note: &Note) -> Recovery {
        match self.ask_after(note).await {
            Ok(recovery) => recovery,
            // It answers, but does not tell of jobs: asking again brings nothing.
            Err(AskError::Refused(_)) if note.gave_nothing() => Recovery::NotStarted,
            Err(AskError::Refused(_)) => Recovery::Decided(self.not_in_history()),
            Err(error) => Recovery::AskLater {
                reasons: vec![error.reason().to_owned()],
                detail: error.to_string(),
                retry_after: RETRY_AWAY,
            },
        }
    }

    async fn ask_after(&self, note: &Note) -> Result<Recovery, AskError> {
        let found = match note.job_id {
            Some(id) => self.known(id).await?,
            None => self.client.find(&key(self.task)).await?,
        };
        match found {
            // The id was not noted, so Send-Document was never begun.
            Some(View { id: Some(id), .. }) if note.gave_nothing() => {
                self.client.cancel(id).await?;
                Ok(Recovery::NotStarted)
            }
            _ if note.gave_nothing() => Ok(Recovery::NotStarted),
            None => Ok(Recovery::Decided(self.not_in_history())),
            Some(view) => self.judge(&view, note.sent || view.is_whole(self.task.bytes)).await,
        }
    }

    /// `whole`: the printer certainly has the whole document.
    async fn judge(&self, view: &View, whole: bool) -> Result<Recovery, AskError> {
        let ended = view.outcome(self.task, self.witness);
        Ok(match ended {
            // What the crash cut off was thrown away unprinted.
            Some(_) if !whole && view.is_untouched() => Recovery::NotStarted,
            Some(Outcome::Completed { .. }) if !whole => Recovery::Decided(self.perhaps_a_part()),
            Some(outcome) => Recovery::Decided(outcome),
            None if whole => Recovery::Underway,
            None if view.begun == Begun::Yes => Recovery::Decided(self.perhaps_a_part()),
            None => return self.withdraw(view).await,
        })
    }

    fn perhaps_a_part(&self) -> Outcome {
        let detail = "the agent ended while it gave the document, and the printer prints what it has of it";
        uncertain("agent-restarted", detail, self.task.bytes)
    }

    async fn known(&self, id: i32) -> Result<Option<View>, AskError> {
        let key = key(self.task);
        match self.client.job(id).await?.filter(|view| view.name.contains(&key)) {
            Some(view) => Ok(Some(view)),
            None => self.client.find(&key).await,
        }
    }

    /// The job has not begun and may have only a part of its document; no connection will bring the rest.
    async fn withdraw(&self, view: &View) -> Result<Recovery, AskError> {
        let Some(id) = view.id else { return Ok(Recovery::Decided(self.not_in_history())) };
        self.client.cancel(id).await?;
        let until = Instant::now() + TERMINATE_WITHIN;
        let mut pause = POLL_FIRST;
        loop {
            match self.known(id).await? {
                None => return Ok(Recovery::Decided(self.not_in_history())),
                Some(view) if view.is_untouched() => return Ok(Recovery::NotStarted),
                Some(view) => match view.outcome(self.task, self.witness) {
                    Some(outcome) => return Ok(Recovery::Decided(outcome)),
                    None if view.begun == Begun::Yes || Instant::now() > until => {
                        return Ok(Recovery::Decided(self.perhaps_a_part()));
                    }
                    None => {}
                },
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// Goes on watching what was found underway.
    pub(super) async fn go_on(&self, note: &Note, cancel: &CancellationToken) -> Outcome {
        let id = match note.job_id {
            Some(id) => Some(id),
            None => self.client.find(&key(self.task)).await.ok().flatten().and_then(|view| view.id),
        };
        match id {
            Some(id) => self.until_ended(id, cancel).await,
            None => self.not_in_history(),
        }
    }
}
