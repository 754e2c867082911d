//! Free space where the spool lives.

use std::io;
use std::path::Path;

pub(crate) fn free_bytes(_: &Path) -> io::Result<u64> {
    Ok(if HERE::disk::is_full() { 0 } else { 1 << 40 })
}
