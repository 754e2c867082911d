//! What the dispatcher is told, and what it waits for.

use inkwire_protocol::app::{Job, Problem};
use inkwire_protocol::ids::{AccountId, AgentId, Attempt, Epoch, FactSeq, JobId, PrinterId};
use inkwire_protocol::job::{Event, State};
use inkwire_protocol::message::{Fact, FactMessage};
use tokio::sync::oneshot;

use super::at_once::{Arrived, Newcomer};
use super::transition::Note;
use crate::store::{Change, CommitError, DocumentContent, JobRow, Outcome, PrinterRow, ReadError};

/// Who asked, and wants to know how the job stands then.
pub(super) type Reply = oneshot::Sender<Result<Job, Problem>>;

/// What the API asks.
#[derive(Debug)]
pub(super) enum Command {
    /// A job is to be made.
    Make(Box<Newcomer>),
    /// Something is asked of a job.
    Ask { account: AccountId, job: JobId, input: Box<Input> },
    /// What is set for a printer of the agent was changed (committed).
    PrintersChanged { agent: AgentId },
    /// The agent was revoked (committed).
    AgentRevoked { agent: AgentId },
}

/// One thing that happens to one job. They are taken one after the other.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) wish: Wish,
    pub(super) reply: Option<Reply>,
}

/// What is to happen to a job.
#[derive(Debug)]
pub(super) enum Wish {
    /// Events of the lifecycle; only for this attempt where one is named. `with` is committed together with them.
    Do { events: Vec<Event>, note: Note, attempt: Option<Attempt>, with: Option<Box<Change>> },
    /// It is its turn: begin a new attempt.
    Send,
    /// The agent does not list it: offer this attempt from its beginning, if no fact that came before says otherwise.
    OfferAgain { attempt: Attempt },
    /// Another place in the queue, where the job is still in it.
    Prioritize(u8),
    /// The document cannot be read.
    SourceFailed { attempt: Attempt, error: String },
    /// The agent says what happened.
    Fact { agent: AgentId, message: Box<FactMessage> },
}

impl Input {
    pub(super) fn events(events: Vec<Event>, note: Note) -> Self {
        Self { wish: Wish::Do { events, note, attempt: None, with: None }, reply: None }
    }

    /// A fact that soon has a successor and of which nothing hangs: its commit may wait for that.
    pub(super) fn may_gather(&self) -> bool {
        matches!(&self.wish, Wish::Fact { message, .. } if matches!(message.fact, Fact::Spooled | Fact::Printing))
    }

    /// Whether it tells a job that its agent's spool was lost.
    pub(super) fn tells_of_loss(&self) -> bool {
        let is_loss = |event: &Event| matches!(event, Event::SpoolLost | Event::BothLost);
        matches!(&self.wish, Wish::Do { events, .. } if events.iter().any(is_loss))
    }

    pub(super) fn of_attempt(attempt: Attempt, events: Vec<Event>, note: Note) -> Self {
        Self { wish: Wish::Do { events, note, attempt: Some(attempt), with: None }, reply: None }
    }
}

/// Work that has ended.
#[derive(Debug)]
pub(super) enum Done {
    /// A job was looked for.
    Loaded { job: JobId, row: Result<Option<Box<JobRow>>, ReadError> },
    /// Its document was looked for.
    Source { job: JobId, content: Result<Option<DocumentContent>, ReadError> },
    /// A new job was committed, or not.
    Made(Box<Arrived>),
    /// A job's changes were committed, or not.
    Committed { job: JobId, step: Box<Taken>, result: Result<Vec<Outcome>, CommitError> },
    /// What a returning agent may have.
    Open { agent: AgentId, epoch: Epoch, found: Result<(Vec<JobRow>, Vec<PrinterRow>), ReadError> },
    /// An agent's printers, after they changed.
    Printers { agent: AgentId, epoch: Epoch, found: Result<Vec<PrinterRow>, ReadError> },
    /// Heads of a printer's queue.
    Heads {
        printer: PrinterId,
        agent: AgentId,
        epoch: Epoch,
        found: Result<Vec<(JobRow, DocumentContent)>, ReadError>,
    },
    /// Jobs to be told something each.
    Many { found: Result<Vec<JobRow>, ReadError>, event: Many },
    /// Every job of an agent whose spool is lost, where the store is a restored copy.
    Losing { agent: AgentId, epoch: Epoch, found: Result<Vec<JobRow>, ReadError> },
    /// The next expiry.
    Expiring { found: Result<(Vec<JobRow>, Option<u64>), ReadError> },
    /// Committed, nothing follows but what is named.
    Marked { agent: AgentId, epoch: Epoch, what: Mark, result: Result<Vec<Outcome>, CommitError> },
    /// A printer's policy for returning agents was applied.
    Returned { agent: AgentId, printer: PrinterId },
    /// A printer's queue may be looked at again.
    Retry { agent: AgentId, printer: PrinterId },
}

/// What is said to many jobs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Many {
    AgentLost,
    Decide,
}

/// What was committed of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Reconciled,
    SpoolLossHandled,
    /// Both at once.
    BothLossesHandled,
}

/// Inputs of one job that are committed together.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// In their order.
    pub(super) inputs: Vec<Input>,
    /// Facts to acknowledge after the commit, in the order of their changes.
    pub(super) facts: Vec<(AgentId, FactId)>,
    /// States that the job passes through before it stands where its row says.
    pub(super) through: Vec<State>,
}

/// Names a fact in its acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct FactId {
    pub(super) job: JobId,
    pub(super) attempt: Attempt,
    pub(super) fact_seq: FactSeq,
}

impl FactId {
    pub(super) const fn of(message: &FactMessage) -> Self {
        Self { job: message.job, attempt: message.attempt, fact_seq: message.fact_seq }
    }
}
