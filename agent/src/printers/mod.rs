//! Printers behind one trait: whatever takes a document is a [`Backend`].
//!
//! ```text
//! PrinterConfig --build--> dyn Backend --print(task, document, journal)--> Outcome
//!                                       \-recover(task, note)-----------> Recovery
//! ```
//!
//! | back-end | what it is | witness | streams |
//! |---|---|---|---|
//! | `ipp` | a printer, or a queue of CUPS | `device`, or `queue` | printers yes, queues no |
//! | `socket` | raw TCP | `handed_over`, or `sent` | yes, 60 s |
//! | `device` | character device or FIFO | `sent` | yes |
//! | `command` | a program | `program` | yes |
//! | `directory` | files | `stored` | no |

pub mod backend;
mod command;
mod config;
#[cfg(unix)]
mod device;
mod directory;
mod ipp;
mod limits;
mod outcome;
mod pump;
mod socket;

use std::path::Path;
use std::sync::Arc;

pub use backend::Backend;
pub use config::{PrinterConfig, PrinterConfigError};
pub use ipp::{DiscoverError, discover, discover_at};

use config::Target;

/// Makes the back-end of a printer. Touches no device: a printer that is away is `unreachable` when it is described.
///
/// `state_dir` is where the certificates of `ipps` printers are pinned (`printer-certificates.json`).
/// [`Backend::describe`] gives the configured number, or 0: the caller, who owns the ledger, sets the real one.
///
/// # Errors
/// Names the printer, what is wrong with its configuration and how to put it right.
pub fn build(config: &PrinterConfig, state_dir: &Path) -> Result<Arc<dyn Backend>, PrinterConfigError> {
    let (common, target) = config::check(config)?;
    Ok(match target {
        Target::Ipp { uri, pin, cups } => Arc::new(ipp::Ipp::new(common, &uri, pin, cups, state_dir)),
        Target::Socket { host, port } => Arc::new(socket::Socket::new(common, host, port)),
        Target::Device { path } => device(common, path)?,
        Target::Command { program, arguments, working_dir } => {
            Arc::new(command::Command::new(common, program, arguments, working_dir))
        }
        Target::Directory { path } => Arc::new(directory::Directory::new(common, path)),
    })
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "where there are no device files it fails")]
fn device(common: config::Common, path: std::path::PathBuf) -> Result<Arc<dyn Backend>, PrinterConfigError> {
    Ok(Arc::new(device::Device::new(common, path)))
}

#[cfg(not(unix))]
fn device(common: config::Common, _: std::path::PathBuf) -> Result<Arc<dyn Backend>, PrinterConfigError> {
    let problem =
        "device:// needs a Unix system; share the printer over the network and use socket:// or ipp://"
            .into();
    Err(PrinterConfigError { name: common.name, problem })
}
