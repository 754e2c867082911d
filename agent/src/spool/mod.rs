//! What the agent holds on stable storage: a ledger of attempts and facts, and the documents.
//!
//! Small documents lie in the ledger, larger ones as files beside it. Whatever is said to the broker (ack, fact) and
//! whatever goes to a device was committed here before.

mod apply;
mod bounded;
pub(crate) mod change;
mod fresh;
mod glance;
mod inspect;
mod known;
mod ledger;
pub(crate) mod part;
pub(crate) mod reader;
mod schema;
mod space;
pub(crate) mod sweep;
mod writer;

/// The ledger, in the state directory.
pub(crate) const LEDGER_FILE: &str = "ledger.sqlite3";

/// Large documents, in the state directory.
pub(crate) const SPOOL_DIR: &str = "spool";

pub use glance::LastJob;
pub use ledger::LedgerError;

pub(crate) use change::{Change, JobKey, Phase};
pub(crate) use glance::last_job;
pub(crate) use inspect::{Document, Inspector, Whole, whole};
pub(crate) use ledger::Ledger;
pub(crate) use space::free_bytes;

#[cfg(test)]
mod tests;
