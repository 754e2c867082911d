//! Jobs: what is asked of them, where they stand, and which one goes to its agent next.
//!
//! ```text
//!  api ── Command ──▶ ┌────────────┐ ── Vec<Change> ──▶ store
//!  sessions ─ Event ─▶│ dispatcher │ ◀─── outcome ─────
//!  clock ── timers ──▶└────────────┘ ── SessionCommand ▶ sessions   (only after the commit)
//! ```

mod agents;
mod counts;
mod dispatcher;
mod done;
mod fetching;
mod follow;
mod handle;
mod input;
mod line;
mod making;
mod moves;
mod orders;
mod problems;
mod queue;
mod retention;
mod returning;
mod rules;
mod submission;
mod tally;
#[cfg(test)]
mod tests;
mod transition;
mod views;

pub(crate) use handle::{Jobs, JobsStart};
pub(crate) use problems::upload_problem;
