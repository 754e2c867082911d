//! What is written down before a printer gets anything, so that it can be asked after a crash.

use inkwire_protocol::message::Witness;
use serde::{Deserialize, Serialize};

/// How the document goes to the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Via {
    /// Create-Job, whose id is noted before Send-Document: without an id nothing was given.
    CreateJob,
    /// Print-Job in one go, for printers without Create-Job: the note says nothing about what was given.
    PrintJob,
}

/// The note in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The printer or queue that was used; may differ from the configured one (a queue made on demand).
    pub(super) uri: String,
    pub(super) via: Via,
    pub(super) witness: Witness,
    /// The device's job id, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job_id: Option<i32>,
    /// The printer has said that it has the whole document. Without it a job that goes on there may be of a part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) sent: bool,
}

impl Note {
    pub(super) fn to_value(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    /// Send-Document was never begun: it follows only on the id.
    pub(super) fn gave_nothing(&self) -> bool {
        self.via == Via::CreateJob && self.job_id.is_none()
    }

    pub(super) fn of(value: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }
}
