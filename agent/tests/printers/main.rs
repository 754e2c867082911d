//! The back-ends against real sockets, FIFOs, programs, directories, `ippeveprinter` and a CUPS server of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on says so by panicking"
)]
#![cfg(unix)]

mod command;
mod device;
mod directory;
mod ipp_cups;
mod ipp_fake;
mod ipp_real;
mod socket;
mod support;
