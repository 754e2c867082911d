//! Each connection is an open file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: store, certificates, documents on their way.
const OTHERS: usize = 512;

/// Takes as many open files as the system lets this process have, and says where that is too few for `connections`.
pub(super) fn raise_limit(connections: usize) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if before.current != before.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let wanted = u64::try_from(connections.saturating_add(OTHERS)).unwrap_or(u64::MAX);
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|&limit| limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "fewer open files are allowed than `limits.max_connections` needs: raise the hard limit (LimitNOFILE)"
        );
    }
}
