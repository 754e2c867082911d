//! inkwire

pub mod demo;
