//! The ways a label can go from an app to a device: ours and the peers'.

pub(crate) mod cups;
pub(crate) mod inkwire;
pub(crate) mod nats;
