//! What each method does; one file a group. Shapes are in `inkwire_protocol::app`.

pub(super) mod agents;
pub(super) mod documents;
pub(super) mod events;
pub(super) mod jobs;
pub(super) mod me;
pub(super) mod pairings;
pub(super) mod printers;
pub(super) mod stats;
pub(super) mod webhooks;

use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::limits::MAX_NAME_CHARS;

use super::table::Context;
use crate::limits::{MAX_PAGE_JOBS, PAGE_JOBS};
use crate::store::{Change, CommitError, Outcome};

/// An unknown and a foreign id answer alike.
fn not_found(what: &str, id: impl std::fmt::Display) -> Problem {
    ProblemKind::NotFound.because(format!("there is no {what} {id} in this account"))
}

/// A name that people give: 1 to [`MAX_NAME_CHARS`] characters, none that steers a terminal.
fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("a name has 1 to {MAX_NAME_CHARS} characters, and no control characters");
    Err(ProblemKind::InvalidParams.because(detail).at("/name"))
}

/// How many things a page has.
fn page_limit(wanted: Option<u32>) -> Result<u32, Problem> {
    let limit = wanted.unwrap_or(PAGE_JOBS);
    if (1..=MAX_PAGE_JOBS).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit is {limit}; it must be 1 to {MAX_PAGE_JOBS}");
    Err(ProblemKind::InvalidParams.because(detail).at("/limit"))
}

/// Commits an administrative change; `id` is what it is about, in the words of an answer.
async fn commit(
    context: &Context,
    changes: Vec<Change>,
    id: impl std::fmt::Display,
) -> Result<Vec<Outcome>, Problem> {
    match context.api.store.commit(changes).await {
        Ok(outcomes) => Ok(outcomes),
        Err(CommitError::NotFound(what)) => Err(not_found(what, id)),
        Err(error) => {
            tracing::error!(%error, "a change could not be stored");
            Err(ProblemKind::Internal.because("the change could not be stored: see the broker's log"))
        }
    }
}
