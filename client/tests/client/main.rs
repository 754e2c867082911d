//! The client against a broker that does exactly what a test wants, over real TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod calls;
mod events;
mod fake;
mod upload;
