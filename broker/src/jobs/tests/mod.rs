//! The dispatcher against a session that is a channel, and a real store.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test that gets something else fails and shows it")]

mod api;
mod desk;
mod flow;
mod policies;
mod returns;
