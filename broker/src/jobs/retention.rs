//! What has ended leaves after its time: documents first, rows later.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::documents::Documents;
use crate::store::{Change, Outcome, SharedStore};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(600);
/// Rows of one commit: others' commits go in between.
const RUN: u32 = 200;

/// How long what has ended is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) documents: Duration,
    pub(super) jobs: Duration,
}

/// Sweeps until it is told to stop.
pub(super) async fn run(store: SharedStore, documents: Documents, kept: Kept, stop: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return,
        }
        while sweep(&store, &documents, kept, now_ms()).await && !stop.is_cancelled() {}
    }
}

/// One run; says whether there is more.
pub(super) async fn sweep(store: &SharedStore, documents: &Documents, kept: Kept, now_ms: u64) -> bool {
    let before = |kept: Duration| now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
    let change = Change::Sweep {
        documents_before_ms: before(kept.documents),
        jobs_before_ms: before(kept.jobs),
        now_ms,
        limit: RUN,
    };
    match store.commit(vec![change]).await.map(|mut outcomes| outcomes.pop()) {
        Ok(Some(Outcome::Swept { files, more })) => {
            // Only now: a file whose row still stands must not be missing after a crash.
            documents.remove(files).await;
            more
        }
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(%error, "retention could not be applied; it is tried again later");
            false
        }
    }
}
