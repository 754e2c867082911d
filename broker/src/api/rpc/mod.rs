//! The WebSocket door `/v1/app`: JSON-RPC 2.0 as text, packets of uploads as binary messages.
//!
//! ```text
//!  socket ─▶ requests ─▶ table (each its own task, so that commits gather) ─▶ outgoing ─▶ socket
//!        └─▶ packets ──▶ uploads (in order; a disk that is behind stops the reading) ─ acks ─▶ outgoing
//!  event log ─▶ pump ─ events, progress ─▶ outgoing
//! ```
//!
//! What waits for a slow reader is bounded in bytes; one that does not read is closed as slow.

mod connection;
mod outgoing;
mod pump;
mod serve;
mod standing;
mod uploads;

pub(crate) use connection::Connection;
pub(crate) use pump::Pump;
pub(crate) use serve::serve;
pub(crate) use uploads::Underway;
