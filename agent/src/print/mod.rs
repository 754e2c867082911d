//! Giving documents to printers: one worker a printer, a job at a time.
//!
//! ```text
//!  decide::next ──▶ Recover ─ ask the device what became of a copy whose intent has no outcome
//!               ──▶ Print ─── verify ─ check requests and time ─ Backend::print (intent, bytes) ─ ending::ending
//!               ──▶ Expire, Wait
//! ```

mod absent;
pub(crate) mod decide;
pub(crate) mod document;
mod ending;
mod finishing;
mod journal;
mod paced;
mod taken;
mod worker;

pub(crate) use absent::Absent;
pub(crate) use worker::Worker;
