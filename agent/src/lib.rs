//! the Inkwire agent
