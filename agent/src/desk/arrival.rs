//! How much of a document has become durable, for whoever prints it while it arrives.

/// The state of an arriving document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Bytes on stable storage.
    pub(crate) durable_bytes: u64,
    /// Whether more will come.
    pub(crate) stage: Stage,
}

/// Whether more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// More may come.
    Arriving,
    /// All is here and the digest is right.
    Whole,
}

impl Arrival {
    /// So far, and more may come.
    pub(crate) const fn so_far(durable_bytes: u64) -> Self {
        Self { durable_bytes, stage: Stage::Arriving }
    }
}
