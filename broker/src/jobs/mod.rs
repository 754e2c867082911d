//! Jobs: what is asked of them, where they stand, and which one goes to its agent next.
//!
//! ```text
//!  api ── Command ──▶ ┌────────────┐ ── Vec<Change> ──▶ store
//!  sessions ─ Event ─▶│ dispatcher │ ◀─── outcome ─────
//!  clock ── timers ──▶└────────────┘ ── SessionCommand ▶ sessions   (only after the commit)
//! ```

mod handle;

pub(crate) use handle::{Created, Jobs};
