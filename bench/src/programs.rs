//! Where the programs are that are measured.

use std::path::PathBuf;

use tempfile::TempDir;

/// What a scenario is given to work with.
#[derive(Debug)]
pub(crate) struct Programs {
    /// nats-server 2.15.
    pub(crate) nats: PathBuf,
    /// Small sizes, one round.
    pub(crate) quick: bool,
    /// How often everybody has a turn.
    pub(crate) rounds: usize,
    /// A folder for everything; on the disk, not in memory, because syncing is part of the work.
    pub(crate) dir: TempDir,
}
