//! Where the bytes of a delivery come from.

use bytes::Bytes;

/// A document that is being delivered.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the row.
    Inline(Bytes),
}

/// A document that cannot be delivered as it was accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SourceError {
    /// The disk does not give it.
    #[error("the document cannot be read: {0}")]
    Io(String),
    /// The disk gives something else than what was accepted.
    #[error("the document on disk is not what was accepted: its SHA-256 differs")]
    Damaged,
    /// A read beyond its end: our own mistake.
    #[error("read of bytes {offset} to {end} of a document of {bytes}")]
    Range { offset: u64, end: u64, bytes: u64 },
}

impl Source {
    /// The `len` bytes at `offset`. Cheap to call packet by packet in order: the next ones are read ahead. The read that reaches the end
    /// fails where the whole document is not what was accepted, so that damaged bytes are never completed. Cancel safe.
    pub(crate) async fn read(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        match self {
            Self::Inline(bytes) => {
                let end = offset.saturating_add(u64::from(len));
                let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
                range
                    .filter(|&(_, end)| end <= bytes.len())
                    .map(|(start, end)| bytes.slice(start..end))
                    .ok_or(SourceError::Range { offset, end, bytes: bytes.len() as u64 })
            }
        }
    }
}
