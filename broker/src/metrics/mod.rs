//! What the broker tells a monitoring system: `GET /metrics` in the OpenMetrics text format, on a listener of its own.
//!
//! Off unless configured. Not on the port of apps, because these numbers are of all accounts, and a key is of one; so who may
//! ask is said by network, and without a word about it only this machine may.
//!
//! ```text
//!  counters of all rooms ─▶ gather ─▶ families (values) ─▶ exposition (text) ─▶ serve
//! ```

mod exposition;
mod gather;
mod process;
mod serve;

pub(crate) use gather::Watched;
pub(crate) use serve::serve;
