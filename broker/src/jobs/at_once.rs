//! A new job on its way into the store. Where its printer's agent is there and nobody waits before it, the commit that accepts it
//! is also the one that sends it: a label costs one commit less, and leaves that much earlier.

use std::sync::Arc;

use inkwire_protocol::job::{Event, State};
use tokio::sync::oneshot;

use super::dispatcher::{Dispatcher, Entry};
use super::input::Done;
use super::making::job_of;
use super::rules;
use super::transition::{Moved, Note, advance};
use crate::clock::now_ms;
use crate::documents::Source;
use crate::store::{Change, CommitError, JobRow, NewJob, Outcome};

/// A job that is to be made.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) new: NewJob,
    /// Where its document is at hand.
    pub(super) source: Option<Arc<Source>>,
    /// What is committed behind it.
    pub(super) more: Vec<Change>,
    pub(super) reply: oneshot::Sender<Result<Vec<Outcome>, CommitError>>,
}

/// Its commit was answered.
#[derive(Debug)]
pub(super) struct Arrived {
    /// As it was before it was sent.
    row: JobRow,
    source: Option<Arc<Source>>,
    reply: oneshot::Sender<Result<Vec<Outcome>, CommitError>>,
    result: Result<Vec<Outcome>, CommitError>,
}

impl Dispatcher {
    /// Commits a new job.
    pub(super) fn make(&mut self, newcomer: Newcomer) {
        let Newcomer { mut new, source, more, reply } = newcomer;
        let row = new.row.clone();
        if source.is_some() && self.may_go_at_once(&row) && self.send_at_once(&mut new) {
            // An agent that comes back meanwhile must find it as what it is: on its way.
            let entry =
                Entry { row: Some(row.clone()), source: source.clone(), busy: true, ..Entry::default() };
            self.jobs.insert(row.job.id, entry);
        }
        let changes = std::iter::once(Change::CreateJob(Box::new(new))).chain(more).collect();
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let result = store.commit(changes).await;
            Done::Made(Box::new(Arrived { row, source, reply, result }))
        });
    }

    /// Whether nothing stands between the job and its agent.
    fn may_go_at_once(&self, row: &JobRow) -> bool {
        let job = &row.job;
        let Some(live) = self.agents.get(&job.agent) else { return false };
        let stands = live.loading || live.reconciling || live.spool_lost || live.is_of_old_store(&self.store);
        if job.state != State::Pending || stands || self.returning.contains(&job.printer) {
            return false;
        }
        live.lines.get(&job.printer).is_some_and(|line| {
            line.present && line.is_free() && line.not_before_ms <= now_ms() && line.admits(job.bytes)
        })
    }

    fn send_at_once(&mut self, new: &mut NewJob) -> bool {
        let may_print = rules::permitted_at_once(new.row.job.bytes, new.row.job.delivery);
        let mut from = new.row.clone();
        from.job.rev = new.events.len() as u64;
        let moved = advance(&from, &[Event::Send { may_print }], &Note::default(), now_ms());
        let Moved::To(mut next, events) = moved else { return false };
        next.job.rev = new.row.job.rev;
        if let Some(line) = self.line(next.job.agent, next.job.printer) {
            line.reserve(next.job.id, next.job.bytes);
        }
        new.row = *next;
        new.events.extend(events);
        true
    }

    /// A new job is committed, or not: whoever asked is told, and it goes on.
    pub(super) fn arrived(&mut self, arrived: Arrived) {
        let Arrived { row: mut before, source, reply, result } = arrived;
        let made = result.as_ref().ok().and_then(|outcomes| job_of(outcomes.clone()).ok());
        // Who asked may be gone; the job is made all the same.
        drop(reply.send(result));
        let Some(after) = made else {
            // What was held free for it is free again, and somebody may have queued up behind it.
            if let Some(line) = self.line(before.job.agent, before.job.printer) {
                line.note(&before);
            }
            self.jobs.remove(&before.job.id);
            return self.dispatch(before.job.agent, before.job.printer);
        };
        self.views.counts.entered(before.job.state);
        let expires_ms = after.job.expires_ms;
        self.next_expiry_ms = Some(self.next_expiry_ms.map_or(expires_ms, |next| next.min(expires_ms)));
        match after.job.state {
            State::Pending => self.enqueue(after, source),
            State::Sending => {
                before.job.number = after.job.number;
                let entry = self.jobs.entry(after.job.id).or_default();
                (entry.row, entry.source, entry.busy) = (Some(after.clone()), source, false);
                self.follow(&before, &after);
                self.turn(after.job.id);
            }
            State::Incoming
            | State::Held
            | State::Spooled
            | State::Printing
            | State::Stopped
            | State::Uncertain
            | State::Completed
            | State::Canceled
            | State::Aborted
            | State::Expired => {}
        }
    }
}
