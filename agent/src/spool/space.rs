//! Free space where the spool lives.

use std::io;
use std::path::Path;

/// Bytes that this user may still write on the disk of `dir`.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    fs4::available_space(dir)
}
