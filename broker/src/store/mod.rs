//! The store: everything that must outlive the process.
//!
//! ```text
//!  callers ── Vec<Change> ──▶ one writer, group commit ──▶ Outcome of each change, after the commit
//!          ── queries ──────▶ readers on their own connections
//! ```
//!
//! [`Store`] is one trait, so that the engine can be another one later: nothing in it assumes one process.

mod bound;
mod change;
#[cfg(test)]
pub(crate) mod fixtures;
mod meters;
mod queries;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use inkwire_protocol::ids::{AccountId, StoreEpoch};

pub(crate) use bound::{Bound, jobs_on};
pub(crate) use change::{
    AcceptFact, BeginSession, Begun, Change, CommitError, Idempotency, MoveWebhook, NewAgent, NewAudit,
    NewDocument, NewEvent, NewJob, Outcome, Started, UpdateJob,
};
pub(crate) use meters::{Census, Depth, Meters};
pub(crate) use queries::{ReadAgents, ReadEvents, ReadJobs, ReadPeople, ReadWebhooks};
pub(crate) use rows::{
    AccountRow, AgentRow, DocumentContent, EventBounds, FetchRow, JobCounts, JobPage, JobRow, KeyRow,
    LoginRow, PasswordHash, PrinterRow, UsageRow, UserRow, Waiting, WebhookRow,
};
pub(crate) use sqlite::{Entry, Held, Inspector, OpenError, SqliteStore};

/// All that a store can be asked, for tests that hold the engine itself.
#[cfg(test)]
pub(crate) mod traits {
    pub(crate) use super::{ReadAgents as _, ReadEvents as _, ReadJobs as _, ReadPeople as _, Store as _};
}

/// The store as everybody holds it.
pub(crate) type SharedStore = Arc<dyn Store>;

/// A query that failed. The caller can only give up and say `internal`; the cause is in the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub(crate) struct ReadError(pub(crate) String);

/// Rows in, rows out: what changes, and everything that can be asked.
#[async_trait]
pub(crate) trait Store:
    ReadPeople + ReadAgents + ReadJobs + ReadEvents + ReadWebhooks + std::fmt::Debug + Send + Sync + 'static
{
    /// Commits `changes` all or none, and answers only after they are on stable storage: one [`Outcome`] a change, in
    /// their order. Callers' commits are gathered into one write, but none spoils another's.
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, CommitError>;

    /// The incarnation of this store; changes when it turns out to be a restored copy.
    fn store_epoch(&self) -> StoreEpoch;

    /// Waits until the store has failed for good (a COMMIT or fsync failed) and says why. The process must end then: nothing is
    /// retried, because nobody knows what is on the disk.
    async fn failed(&self) -> String;

    /// Wakes with an account id whenever events of it were committed. Slow receivers lag and then look at every account they serve.
    fn wakeups(&self) -> tokio::sync::broadcast::Receiver<AccountId>;

    /// Distributions of its commits (metrics).
    fn meters(&self) -> &Meters;

    /// How many commits wait for the writer (metrics).
    fn queue(&self) -> Depth;

    /// What stands in it now, over all accounts (metrics).
    async fn census(&self) -> Result<Census, ReadError>;
}
