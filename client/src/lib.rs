//! Rust client of Inkwire's app API
