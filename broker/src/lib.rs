//! the Inkwire broker
