//! Files of attempts that the ledger does not know any more.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::change::JobKey;

/// Removes every spool file whose attempt is not in `known`; returns how many. A file is only ever removed after the
/// commit that drops its attempt, so that a crash in between leaves one for this.
pub(crate) fn sweep(dir: &Path, known: &HashSet<JobKey>) -> io::Result<usize> {
    let kept: HashSet<String> = known.iter().map(ToString::to_string).collect();
    let mut removed = 0;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == "part" || extension == "crc");
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if ours && !kept.contains(stem) {
            std::fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{Attempt, JobId};

    #[test]
    fn only_files_of_unknown_attempts_go() {
        let dir = tempfile::tempdir().unwrap();
        let key = |n| JobKey::new(JobId::from_uuid(uuid::Uuid::from_u128(n)), Attempt(1));
        for name in
            [format!("{}.part", key(1)), format!("{}.crc", key(1)), format!("{}.part", key(2)), "x".into()]
        {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(sweep(dir.path(), &HashSet::from([key(1)])).unwrap(), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
