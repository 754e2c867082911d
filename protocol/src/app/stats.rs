//! The last day of an account in numbers, and what waits for a human.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, PrinterId};

/// Answer to `stats.summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stats {
    /// The last 24 hours, oldest first; the last one is the present hour, which is not over.
    pub hours: Vec<HourStats>,
    /// The sum of `hours`.
    pub total: Counts,
    /// The printers with the most accepted jobs in this time, at most 10.
    pub printers: Vec<PrinterStats>,
    /// What waits for a human.
    pub needs_a_human: NeedsAHuman,
}

/// What happened to jobs in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Jobs accepted.
    pub accepted: u64,
    /// Their documents' bytes.
    pub bytes: u64,
    /// Jobs that ended printed.
    pub completed: u64,
    /// Jobs that could not be printed.
    pub aborted: u64,
    /// Jobs canceled.
    pub canceled: u64,
    /// Jobs not printed in time.
    pub expired: u64,
    /// Times that an outcome became uncertain (each is decided later, and counted again by its end).
    pub uncertain: u64,
}

/// One hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HourStats {
    /// When it began.
    pub from_ms: u64,
    /// What happened in it.
    #[serde(flatten)]
    pub counts: Counts,
}

/// One printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrinterStats {
    /// The printer.
    pub printer: PrinterId,
    /// Its name.
    pub name: String,
    /// What happened at it.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What waits for a human.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeedsAHuman {
    /// Jobs whose outcome somebody has to decide.
    pub uncertain_jobs: u64,
    /// Jobs that wait to be released.
    pub held_jobs: u64,
    /// Jobs whose printer wants a human.
    pub stopped_jobs: u64,
    /// Printers that are stopped or cannot be reached, of agents that are there.
    pub stopped_printers: Vec<PrinterId>,
    /// Agents that have been gone for longer than they usually are.
    pub missing_agents: Vec<AgentId>,
    /// Agents kept out because two PCs use their identity.
    pub cloned_agents: Vec<AgentId>,
}
