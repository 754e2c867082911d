//! Printers behind one trait: whatever takes a document is a [`Backend`].
//!
//! ```text
//! PrinterConfig --build--> dyn Backend --print(task, document, journal)--> Outcome
//!                                       \-recover(task, note)-----------> Recovery
//! ```

pub mod backend;
mod config;

use std::path::Path;
use std::sync::Arc;

pub use backend::Backend;
pub use config::{PrinterConfig, PrinterConfigError};

/// Makes the back-end of a printer. Touches no device: a printer that is away is `unreachable` when it is described.
///
/// `state_dir` is where the certificates of `ipps` printers are pinned (`printer-certificates.json`).
/// [`Backend::describe`] gives the configured number, or 0: the caller, who owns the ledger, sets the real one.
///
/// # Errors
/// Names the printer, what is wrong with its configuration and how to put it right.
pub fn build(config: &PrinterConfig, state_dir: &Path) -> Result<Arc<dyn Backend>, PrinterConfigError> {
    let _ = state_dir;
    Err(PrinterConfigError { name: config.name.clone(), problem: "no back-end is built yet".into() })
}

/// The queues of the local CUPS server, each as an `ipp` printer by the queue's name. Without a CUPS server: none.
///
/// # Errors
/// A CUPS server is there but does not answer as one.
pub async fn discover() -> Result<Vec<PrinterConfig>, DiscoverError> {
    Ok(Vec::new())
}

/// The local CUPS server is there but its queues cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the local CUPS server does not list its queues: {0}")]
pub struct DiscoverError(pub String);
