//! The store as its callers see it.

mod commits;
mod reopen;
mod retention;
mod sessions;
