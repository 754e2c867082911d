//! The broker, as far as it is simulated: store, sessions and the dispatcher, as they stand; documents and the door are ours.

#![allow(dead_code, unused_imports, reason = "rooms that are not here use it")]

pub(crate) mod auth;
pub(crate) mod clock;
pub(crate) mod documents;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod sessions;
pub(crate) mod store;

pub(crate) const VERSION: &str = "0.0.0-sim";
