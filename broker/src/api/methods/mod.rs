//! What each method does; one file a group. Shapes are in `inkwire_protocol::app`.

pub(super) mod agents;
pub(super) mod audit;
pub(super) mod documents;
pub(crate) mod enrolments;
pub(super) mod events;
pub(super) mod jobs;
pub(crate) mod keys;
pub(crate) mod limits;
pub(super) mod me;
pub(super) mod pairings;
pub(super) mod printers;
pub(super) mod session;
pub(super) mod stats;
pub(crate) mod users;
pub(super) mod webhooks;

use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::limits::MAX_NAME_CHARS;

use super::table::Context;
use crate::limits::{MAX_PAGE_JOBS as MAX_PAGE, PAGE_JOBS as PAGE};
use crate::store::{Change, CommitError, Outcome};

/// An unknown and a foreign id answer alike.
fn not_found(what: &str, id: impl std::fmt::Display) -> Problem {
    ProblemKind::NotFound.because(format!("there is no {what} {id} in this account"))
}

/// How much of a list is wanted: 1 to 500, 50 unless said.
fn page(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(PAGE);
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit is {limit}; it must be 1 to {MAX_PAGE}");
    Err(ProblemKind::InvalidParams.because(detail).at("/limit"))
}

/// A name of a key, a person or an account.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("a name has 1 to {MAX_NAME_CHARS} characters, and no control characters");
    Err(ProblemKind::InvalidParams.because(detail).at("/name"))
}

/// Commits an administrative change; `id` is what it is about, in the words of an answer.
async fn commit(
    context: &Context,
    changes: Vec<Change>,
    id: impl std::fmt::Display,
) -> Result<Vec<Outcome>, Problem> {
    context.api.store.commit(changes).await.map_err(|error| {
        if let CommitError::NotFound(what) = error { not_found(what, id) } else { internal_commit(error) }
    })
}

/// A change that was not stored, as the caller sees it.
#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(crate) fn internal_commit(error: CommitError) -> Problem {
    if let CommitError::Refused(why) = error {
        return ProblemKind::Conflict.because(why);
    }
    if let CommitError::OverQuota(bound) = error {
        return bound.problem();
    }
    if matches!(error, CommitError::NotFound(_)) {
        return ProblemKind::NotFound.because(error.to_string());
    }
    if matches!(error, CommitError::Exists(_)) {
        return ProblemKind::Conflict.because(error.to_string()).at("/name");
    }
    tracing::error!(%error, "an administrative change could not be stored");
    ProblemKind::Internal.because("the change could not be stored: see the broker's log")
}
