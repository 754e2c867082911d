//! Printers, and what the account has set for them.

use serde::{Deserialize, Serialize};

use super::AgentStatus;
use crate::ids::{AgentId, PrinterId};
use crate::printer::{JobOptions, OnReturn, OnUncertain, PrinterInfo};

/// A printer as the account sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Printer {
    /// Its stable id.
    pub id: PrinterId,
    /// Its agent.
    pub agent: AgentId,
    /// Its agent's name.
    pub agent_name: String,
    /// Its agent's status: a printer of an agent that is offline keeps its last state.
    pub agent_status: AgentStatus,
    /// What its agent says of it: capabilities, state with its reasons, markers; its `name` is the default one.
    pub info: PrinterInfo,
    /// Its name in the account.
    pub name: String,
    /// Jobs that wait for it or are on their way.
    pub queued_jobs: u64,
    /// Whether the agent still has it.
    pub present: bool,
    /// What the account has set for it.
    #[serde(default)]
    pub settings: PrinterSettings,
}

/// What an account has set for a printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PrinterSettings {
    /// Options of jobs that do not say otherwise.
    pub options: JobOptions,
    /// What happens when the outcome of a job is not known, unless the job says.
    pub on_uncertain: OnUncertain,
    /// What becomes of jobs that waited while the agent was away.
    pub on_return: OnReturn,
    /// Bytes that the agent gives to the device in a second at most (`socket` and `device` printers); none: as fast as it takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pacing_bytes_s: Option<u64>,
    /// Whether new jobs are taken.
    pub accepting: bool,
}

impl Default for PrinterSettings {
    fn default() -> Self {
        Self {
            options: JobOptions::default(),
            on_uncertain: OnUncertain::default(),
            on_return: OnReturn::default(),
            pacing_bytes_s: None,
            accepting: true,
        }
    }
}

/// Answer to `printers.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Printers {
    /// All printers of the account, by agent and number.
    pub printers: Vec<Printer>,
}

/// A printer named by its id: `printers.get`, `printers.test_page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PrinterRef {
    /// The printer.
    pub printer: PrinterId,
}

/// `printers.update`: what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PrinterUpdate {
    /// The printer.
    pub printer: PrinterId,
    /// Its name in the account: 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Options of jobs that do not say otherwise; replaces all that were set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<JobOptions>,
    /// What happens when the outcome of a job is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_uncertain: Option<OnUncertain>,
    /// What becomes of jobs that waited while the agent was away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_return: Option<OnReturn>,
    /// Bytes in a second towards the device; 0: as fast as it takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing_bytes_s: Option<u64>,
    /// Whether new jobs are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepting: Option<bool>,
}
