//! The configuration of a simulated agent.

use std::path::PathBuf;
use std::time::Duration;

use crate::printers::PrinterConfig;

#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) state_dir: PathBuf,
    pub(crate) discover_cups: bool,
    pub(crate) min_free_bytes: u64,
    pub(crate) poll_printers: Duration,
    pub(crate) printers: Vec<PrinterConfig>,
}
