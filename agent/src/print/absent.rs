//! A printer that has jobs here and is not configured (any more), or was not discovered this time.

use std::time::Duration;

use inkwire_protocol::printer::PrinterInfo;
use tokio_util::sync::CancellationToken;

use crate::printers::backend::{Backend, Document, Journal, Outcome, Recovery, Task};

/// Says that it is not there, again and again: its jobs wait with that reason.
pub(crate) struct Absent(pub(crate) PrinterInfo);

const AGAIN: Duration = Duration::from_secs(60);

impl Absent {
    fn words(&self) -> (Vec<String>, String) {
        let number = self.0.number;
        let detail =
            format!("this agent has no printer {number} now: configure it again and restart the agent");
        (vec!["connecting-to-device".into()], detail)
    }
}

#[async_trait::async_trait]
impl Backend for Absent {
    async fn describe(&self) -> PrinterInfo {
        self.0.clone()
    }

    fn hold_open(&self) -> Option<Duration> {
        None
    }

    async fn print(&self, _: &Task, _: &mut dyn Document, _: &dyn Journal, _: &CancellationToken) -> Outcome {
        let (reasons, detail) = self.words();
        Outcome::NotStarted { reasons, detail, retry_after: AGAIN }
    }

    async fn recover(&self, _: &Task, _: &serde_json::Value) -> Recovery {
        let (reasons, detail) = self.words();
        Recovery::AskLater { reasons, detail, retry_after: AGAIN }
    }

    async fn watch(
        &self,
        _: &Task,
        _: &serde_json::Value,
        _: &dyn Journal,
        _: &CancellationToken,
    ) -> Outcome {
        let (reasons, detail) = self.words();
        Outcome::NotStarted { reasons, detail, retry_after: AGAIN }
    }
}
