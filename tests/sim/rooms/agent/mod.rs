//! The agent, as far as it is simulated: all of it but pairing, TLS and the back-ends.

#![allow(dead_code, unused_imports, reason = "rooms that are not here use it")]

pub(crate) mod agent;
pub(crate) mod book;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod desk;
pub(crate) mod identity;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod print;
pub(crate) mod printers;
pub(crate) mod report;
pub(crate) mod shared;
pub(crate) mod spool;
pub(crate) mod status;
