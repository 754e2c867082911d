//! What a daemon needs from its host, and nothing of what it does.
//!
//! ```text
//!   config file ─▶ config::load ─▶ the daemon's own checked configuration (Secret masks what must not be logged)
//!   SIGTERM, SIGINT ─▶ Shutdown ─▶ CancellationToken ─▶ every task ─▶ TaskTracker ─▶ done, or deadline
//!   tracing ─▶ telemetry ─▶ stderr, as text or JSON          small files ─▶ fsio ─▶ stable storage
//! ```

#![warn(missing_docs)]

pub mod check;
pub mod config;
pub mod fsio;
mod secret;
mod shutdown;
pub mod telemetry;

pub use secret::Secret;
pub use shutdown::{Overdue, Shutdown};
