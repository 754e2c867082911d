//! The store as its callers see it.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test that gets something else fails and shows it")]

mod commits;
mod counts;
mod pages;
mod reopen;
mod retention;
mod sessions;
