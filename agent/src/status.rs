//! What a running agent leaves in its state directory for `inkwire agent status`: a small file, written anew when something
//! changed. Nothing depends on it; it is not synced.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::ids::AgentId;
use inkwire_protocol::printer::PrinterInfo;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::identity::{self, IdentityError};
use crate::shared::Shared;
use crate::spool::{LEDGER_FILE, last_job};

pub use crate::link::Connection;
pub use crate::spool::LastJob;

/// `status.json` in the state directory.
const STATUS_FILE: &str = "status.json";
/// A device that changes its mind all the time is not written down all the time.
const NOT_MORE_OFTEN_THAN: Duration = Duration::from_millis(500);

/// What the running agent wrote last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where the connection stands.
    pub connection: Connection,
    /// The printers as last seen.
    pub printers: Vec<PrinterInfo>,
}

/// All that can be said about the agent of a state directory from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its id.
    pub agent: AgentId,
    /// Its name at the broker.
    pub name: String,
    /// The account that it was paired with.
    pub account: String,
    /// The broker, with its pin.
    pub broker: String,
    /// None where no process uses the state directory.
    pub running: Option<Running>,
    /// The job that was heard of last.
    pub last_job: Option<LastJob>,
    /// Jobs that have not ended here.
    pub waiting_jobs: u64,
}

/// Looks at a state directory, whether or not an agent runs there.
///
/// # Errors
/// It was never paired, or a file in it cannot be read.
pub fn status(state_dir: &Path) -> Result<Status, IdentityError> {
    let (identity, _, _) = identity::load(state_dir)?;
    let is_running = match identity::lock(state_dir) {
        Ok(_) => false,
        Err(IdentityError::InUse(_)) => true,
        Err(error) => return Err(error),
    };
    let running = if is_running { read(state_dir) } else { None };
    let (last_job, waiting_jobs) = last_job(&state_dir.join(LEDGER_FILE))
        .map_err(|problem| IdentityError::Damaged { path: state_dir.join(LEDGER_FILE), problem })?;
    Ok(Status {
        agent: identity.agent,
        name: identity.agent_name,
        account: identity.account_name,
        broker: identity.url,
        running,
        last_job,
        waiting_jobs,
    })
}

/// None in the first moment of a start.
fn read(state_dir: &Path) -> Option<Running> {
    let text = std::fs::read(state_dir.join(STATUS_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Keeps the file until told to stop.
pub(crate) async fn keep(shared: Arc<Shared>, state_dir: std::path::PathBuf, stop: CancellationToken) {
    let (mut link, mut printers) = (shared.link.subscribe(), shared.printers.subscribe());
    loop {
        let running = Running {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            connection: link.borrow_and_update().clone(),
            printers: printers.borrow_and_update().to_vec(),
        };
        if let Err(error) = write(&state_dir, &running) {
            tracing::debug!(%error, "the status is not written");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = link.changed() => {}
            Ok(()) = printers.changed() => {}
            else => return,
        }
        if stop.run_until_cancelled(tokio::time::sleep(NOT_MORE_OFTEN_THAN)).await.is_none() {
            return;
        }
    }
}

fn write(state_dir: &Path, running: &Running) -> std::io::Result<()> {
    let text = serde_json::to_vec(running)?;
    let (fresh, file) = (state_dir.join("status.json.new"), state_dir.join(STATUS_FILE));
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, &file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_never_paired_says_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(status(dir.path()), Err(IdentityError::NotPaired(_))));
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let running = Running {
            version: "1".into(),
            pid: 7,
            connection: Connection::Connected {
                since_ms: 5,
                observed_endpoint: "198.51.100.7:4711".parse().unwrap(),
                epoch: 3,
            },
            printers: Vec::new(),
        };
        write(dir.path(), &running).unwrap();
        assert_eq!(read(dir.path()), Some(running));
        std::fs::write(dir.path().join(STATUS_FILE), "{").unwrap();
        assert_eq!(read(dir.path()), None);
    }
}
