//! One binary for all tests that need both sides.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a failure here is a failed test, and what they print helps to read it"
)]

mod arch;
mod attack;
mod cancel;
mod care;
mod crash;
mod detect;
mod papers;
mod support;
mod truth;
