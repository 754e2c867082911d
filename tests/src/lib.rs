//! Real processes for the end-to-end, crash and memory tests, and the sinks that play printers.
//!
//! ```text
//!  test ── lab::Broker ── `inkwire broker` (own data folder, port 0)
//!     │ └─ lab::Agent ─── `inkwire agent`  (own state folder, printers as the test likes)
//!     ├─── sink::Socket   plays a printer on TCP 9100 and remembers every job it got
//!     ├─── fleet::Member  plays an agent that keeps the rules
//!     ├─── net            namespaces, and a line with delay, loss and a rate
//!     └─── peer::Peer     plays whoever breaks them
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "this crate is tests: a failure here is a failed test"
)]

pub mod bloat;
pub mod documents;
pub mod fleet;
pub mod lab;
#[cfg(target_os = "linux")]
pub mod net;
pub mod peer;
pub mod sent;
pub mod sink;
