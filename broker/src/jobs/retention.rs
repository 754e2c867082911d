//! What has ended leaves after its time: documents first, rows later.

use std::time::{Duration, UNIX_EPOCH};

use inkwire_protocol::job::Event;
use tokio_util::sync::CancellationToken;

use super::transition::{Moved, Note, advance};
use crate::clock::now_ms;
use crate::documents::Documents;
use crate::limits::UPLOAD_KEPT;
use crate::store::{Change, Outcome, SharedStore, UpdateJob};

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
        give_up_uploads(&store, &documents, now_ms()).await;
        while sweep(&store, &documents, kept, now_ms()).await && !stop.is_cancelled() {}
    }
}

/// Uploads of which nothing has come for a day end: whoever began them is not coming back.
pub(super) async fn give_up_uploads(store: &SharedStore, documents: &Documents, now_ms: u64) {
    let before_ms = now_ms.saturating_sub(UPLOAD_KEPT.as_millis() as u64);
    let rows = match store.stale_uploads(before_ms, RUN).await {
        Ok(rows) => rows,
        Err(error) => return tracing::warn!(%error, "abandoned uploads are looked for later"),
    };
    let note = Note::because("upload-abandoned", "nothing of the document came for a day");
    for row in rows {
        let came = documents.last_came(row.account, row.document).await;
        let came_ms = came.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |at| at.as_millis());
        if came_ms >= u128::from(before_ms) {
            continue;
        }
        let job = row.job.id;
        let Moved::To(row, events) = advance(&row, &[Event::Abort], &note, now_ms) else { continue };
        match store.commit(vec![Change::UpdateJob(Box::new(UpdateJob { row: *row, events }))]).await {
            Ok(_) => tracing::info!(%job, "an upload was abandoned"),
            // Somebody goes on with it.
            Err(error) => tracing::debug!(%job, %error, "an upload is left as it is"),
        }
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
