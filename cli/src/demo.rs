//! `inkwire demo`.

pub mod document;
mod records;
pub mod router;
