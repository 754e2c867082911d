//! From the event log to an app: reads the log at the pace of the reader; a commit only wakes it up (I7).

use std::collections::HashMap;
use std::sync::Arc;

use inkwire_protocol::app::{Event, EventPosition, Events, JobProgress, Subscribe, method};
use inkwire_protocol::ids::{AccountId, EventOffset, JobId};
use tokio::sync::broadcast::{self, error::RecvError};

use super::outgoing::Outgoing;
use crate::api::table::Context;
use crate::limits::EVENTS_PER_MESSAGE;
use crate::store::SharedStore;

/// A subscription.
#[derive(Debug)]
pub(crate) struct Pump {
    store: SharedStore,
    account: AccountId,
    at: EventPosition,
    filter: Subscribe,
    wakeups: broadcast::Receiver<AccountId>,
    progress: broadcast::Receiver<(AccountId, JobProgress)>,
    /// Newest progress that was not sent yet.
    news: HashMap<JobId, JobProgress>,
}

impl Pump {
    /// A subscription of the caller's account from `at` on. `wakeups` began before the log was looked at.
    pub(crate) fn new(
        context: &Context,
        at: EventPosition,
        filter: Subscribe,
        wakeups: broadcast::Receiver<AccountId>,
    ) -> Self {
        Self {
            store: context.api.store.clone(),
            account: context.caller.account,
            at,
            filter,
            wakeups,
            progress: context.api.jobs.progress(),
            news: HashMap::new(),
        }
    }

    /// Runs until it is cancelled, or the store fails.
    pub(super) async fn run(mut self, out: Arc<Outgoing>) {
        loop {
            out.wait_for_room().await;
            match self.send_run(&out).await {
                Ok(true) => {}
                Ok(false) => self.wait(&out).await,
                Err(error) => {
                    tracing::error!(%error, "the event log could not be read");
                    out.overflow.cancel();
                    return;
                }
            }
        }
    }

    /// Sends the next run of the log; false where there is none.
    async fn send_run(&mut self, out: &Outgoing) -> Result<bool, crate::store::ReadError> {
        let events = self.store.events_after(self.account, self.at.offset, EVENTS_PER_MESSAGE).await?;
        let Some(last) = events.last() else { return Ok(false) };
        let through: EventOffset = last.offset;
        let events = events.into_iter().filter(|event| wants(&self.filter, event)).collect();
        self.at.offset = through;
        out.notify(method::EVENTS, Events { epoch: self.at.epoch, events, through });
        Ok(true)
    }

    /// Waits for a commit of the account's; sends progress meanwhile.
    async fn wait(&mut self, out: &Outgoing) {
        loop {
            tokio::select! {
                woken = self.wakeups.recv() => match woken {
                    Ok(account) if account != self.account => {}
                    // Lagging means: something may have been missed, so look.
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => return std::future::pending().await,
                },
                progress = self.progress.recv(), if self.filter.progress => {
                    self.note(progress);
                    self.send_progress(out);
                }
            }
        }
    }

    fn note(&mut self, progress: Result<(AccountId, JobProgress), RecvError>) {
        match progress {
            Ok((account, progress)) if account == self.account => {
                if self.filter.job.is_none_or(|job| job == progress.job) {
                    self.news.insert(progress.job, progress);
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => self.filter.progress = false,
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

/// Whether a filter lets an event through.
fn wants(filter: &Subscribe, event: &Event) -> bool {
    let kind =
        filter.kinds.is_empty() || filter.kinds.iter().any(|kind| event.kind.starts_with(kind.as_str()));
    kind && filter.job.is_none_or(|job| event.job == Some(job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use uuid::Uuid;

    #[test]
    fn a_filter_goes_by_kind_and_job() {
        let job = JobId::from_uuid(Uuid::from_u128(1));
        let event = Event {
            offset: EventOffset(1),
            at_ms: 0,
            kind: "job.accepted".into(),
            job: Some(job),
            agent: None,
            printer: None,
            data: Value::Null,
        };
        let filter = |kinds: &[&str], job| Subscribe {
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            job,
            ..Subscribe::default()
        };
        assert!(wants(&filter(&[], None), &event));
        assert!(wants(&filter(&["agent.", "job."], Some(job)), &event));
        assert!(!wants(&filter(&["agent."], None), &event));
        assert!(!wants(&filter(&[], Some(JobId::from_uuid(Uuid::from_u128(2)))), &event));
    }
}
