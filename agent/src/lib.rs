//! the Inkwire agent

pub mod printers;
