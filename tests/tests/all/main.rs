//! All integration tests in one binary: linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "this crate is tests: a failure here is a failed test"
)]

mod arch;
