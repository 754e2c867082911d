//! What is said to whoever asked for something that failed.

use inkwire_protocol::app::{Problem, ProblemKind};

use crate::documents::UploadError;

pub(super) fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a request failed");
    ProblemKind::Internal.because("the store did not answer; the broker's log says why")
}

pub(super) fn draining() -> Problem {
    ProblemKind::Draining.because("the broker is stopping; ask again after its restart")
}

/// What the app hears of an upload that does not go on.
pub(crate) fn upload_problem(error: &UploadError) -> Problem {
    let kind = match error {
        UploadError::Disk(_) => ProblemKind::Internal,
        UploadError::Full(_) | UploadError::FilledUp => ProblemKind::StorageFull,
        UploadError::Incomplete { .. } | UploadError::TakenOver => ProblemKind::Conflict,
        UploadError::Digest { .. } => ProblemKind::DigestMismatch,
    };
    kind.because(error.to_string())
}
