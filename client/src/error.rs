//! What can go wrong with a call.

use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::app::{Problem, ProblemKind};

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The broker answered with a problem.
    #[error("{0}")]
    Refused(Problem),
    /// No connection to the broker could be made.
    #[error(
        "the broker at {url} cannot be reached: {detail}; check the address, the network and that the broker runs"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// What the last dial said.
        detail: String,
    },
    /// The connection was lost after the request went out and before its answer came.
    #[error(
        "the connection was lost before `{method}` was answered; look whether it took effect, then repeat it"
    )]
    Interrupted {
        /// The method.
        method: &'static str,
    },
    /// No answer in time.
    #[error("`{method}` was not answered within {within:?}; the broker or the network is slow, try again")]
    Timeout {
        /// The method.
        method: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// The document cannot be read or written, or is not what it was when the transfer began.
    #[error("the document cannot be read or written: {0}")]
    Document(#[source] Arc<std::io::Error>),
    /// The broker's answer makes no sense to this version.
    #[error(
        "the broker's answer to `{method}` was not understood: {detail}; do client and broker fit together?"
    )]
    NotUnderstood {
        /// The method.
        method: &'static str,
        /// What was wrong.
        detail: String,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may well succeed later, and repeating it does no harm.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(problem) => matches!(
                problem.kind(),
                Some(ProblemKind::Busy | ProblemKind::Draining | ProblemKind::StorageFull)
            ),
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Interrupted { .. } | Self::Document(_) | Self::NotUnderstood { .. } | Self::Closed => false,
        }
    }

    /// The broker's problem, where it answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Timeout { .. }
            | Self::Document(_)
            | Self::NotUnderstood { .. }
            | Self::Closed => None,
        }
    }

    /// The kind of the broker's problem, where there is one that this version knows.
    pub fn kind(&self) -> Option<ProblemKind> {
        self.problem().and_then(Problem::kind)
    }

    pub(crate) fn document(error: std::io::Error) -> Self {
        Self::Document(Arc::new(error))
    }
}
