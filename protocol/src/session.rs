//! The rules of a session: is the other end alive, when to dial again, is this the same PC and the same spool.

pub mod clone;
pub mod dial;
pub mod liveness;
pub mod reconcile;
