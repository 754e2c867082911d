//! What each method does; one file a group. Shapes are in `inkwire_protocol::app`.

pub(super) mod agents;
pub(super) mod events;
pub(super) mod jobs;
pub(super) mod me;
pub(super) mod pairings;
pub(super) mod printers;
pub(super) mod webhooks;

use inkwire_protocol::app::{Problem, ProblemKind};

/// An unknown and a foreign id answer alike.
fn not_found(what: &str, id: impl std::fmt::Display) -> Problem {
    ProblemKind::NotFound.because(format!("there is no {what} {id} in this account"))
}
