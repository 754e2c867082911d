//! Jobs: what is asked of them, where they stand, and which one goes to its agent next.
//!
//! ```text
//!  api ── Command ──▶ ┌────────────┐ ── Vec<Change> ──▶ store
//!  sessions ─ Event ─▶│ dispatcher │ ◀─── outcome ─────
//!  clock ── timers ──▶└────────────┘ ── SessionCommand ▶ sessions   (only after the commit)
//! ```

mod again;
mod agents;
mod at_once;
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
mod on_return;
mod options;
mod orders;
mod problems;
mod queue;
mod receive;
mod retention;
mod returning;
mod rules;
mod submission;
mod tally;
mod test_page;
#[cfg(test)]
mod tests;
mod transition;
mod uploads;
mod views;

pub(crate) use again::Kept;
pub(crate) use handle::{Jobs, JobsStart};
pub(crate) use making::Submitter;
pub(crate) use options::check_printer_update;
pub(crate) use problems::upload_problem;
