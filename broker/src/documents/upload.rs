//! A document on its way in: resumable, and durable before it is acked.

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::transfer::Layout;
use tokio::sync::watch;

/// A document on its way in. Dropping it only pauses the upload: what is durable stays.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) layout: Layout,
    /// Every packet below was durable when the upload was taken up: the sender begins here.
    pub(crate) next_seq: u32,
    /// Every packet below is durable: an ack is due when it changes. Closed where the file failed.
    pub(crate) durable: watch::Receiver<u32>,
}

/// A document that is whole, with its final name, on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256Digest,
}

/// Why an upload does not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum UploadError {
    /// The disk failed: the partial file cannot be trusted any more, the upload must begin anew.
    #[error("the document cannot be stored: {0}")]
    Disk(String),
    /// No space.
    #[error(transparent)]
    Full(#[from] super::StorageFull),
    /// Packets are missing.
    #[error("packet {next_seq} of {packets} has not come")]
    Incomplete { next_seq: u32, packets: u32 },
    /// Not the document that was announced.
    #[error("the document's SHA-256 is {actual}, announced was {stated}")]
    Digest { stated: Sha256Digest, actual: Sha256Digest },
}

impl Upload {
    /// Takes packet `seq`, which [`inkwire_protocol::transfer::Receiver`] let pass and whose checksum was checked. Waits
    /// while the disk is behind.
    pub(crate) async fn write(&self, seq: u32, crc32c: u32, data: Bytes) -> Result<(), UploadError> {
        let _ = (seq, crc32c, data);
        Err(UploadError::Disk("not yet".into()))
    }
}
