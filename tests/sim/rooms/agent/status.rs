//! The status file, which nothing depends on, is not written.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

pub(crate) async fn keep(_: Arc<Shared>, _: PathBuf, stop: CancellationToken) {
    stop.cancelled().await;
}
