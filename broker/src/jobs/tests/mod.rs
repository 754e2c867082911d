//! The dispatcher against a session that is a channel, and a real store.

mod api;
mod desk;
mod flow;
mod returns;
