//! What is uploaded: bytes, a file, or any reader that can seek (a resume may begin earlier than what was read).

use std::io::SeekFrom;
use std::path::Path;

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::limits::INLINE_DOCUMENT_BYTES;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, BufReader};

use crate::error::Error;
use crate::limits::FILE_READ_BYTES;

trait ReadSeek: AsyncRead + AsyncSeek + Send + Unpin {}
impl<T: AsyncRead + AsyncSeek + Send + Unpin> ReadSeek for T {}

/// A document of known size.
///
/// Its SHA-256 is computed while it is sent: every byte is read once, and again only what a resume repeats.
pub struct Document {
    reader: Box<dyn ReadSeek>,
    bytes: u64,
    /// Where the reader stands.
    at: u64,
    hasher: Sha256,
    /// The hasher has seen everything before this.
    hashed: u64,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("bytes", &self.bytes).field("hashed", &self.hashed).finish()
    }
}

impl Document {
    /// A document in memory.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        Self::over(Box::new(std::io::Cursor::new(bytes)), len)
    }

    /// A document behind a reader that can seek; its size is where the end is now.
    ///
    /// # Errors
    /// [`Error::Document`] where it cannot seek.
    pub async fn from_reader<R>(mut reader: R) -> Result<Self, Error>
    where
        R: AsyncRead + AsyncSeek + Send + Unpin + 'static,
    {
        let bytes = reader.seek(SeekFrom::End(0)).await.map_err(Error::document)?;
        reader.seek(SeekFrom::Start(0)).await.map_err(Error::document)?;
        Ok(Self::over(Box::new(reader), bytes))
    }

    /// A file.
    ///
    /// # Errors
    /// [`Error::Document`] where it cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = tokio::fs::File::open(path).await.map_err(Error::document)?;
        // Every read of a file is a trip to another thread: one for many packets.
        Self::from_reader(BufReader::with_capacity(FILE_READ_BYTES, file)).await
    }

    fn over(reader: Box<dyn ReadSeek>, bytes: u64) -> Self {
        Self { reader, bytes, at: 0, hasher: Sha256::new(), hashed: 0 }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it goes inline, in the request itself.
    pub(crate) fn is_small(&self) -> bool {
        self.bytes <= INLINE_DOCUMENT_BYTES
    }

    /// All of it; for small ones.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, Error> {
        self.read_at(0, usize::try_from(self.bytes).unwrap_or(usize::MAX)).await
    }

    /// `len` bytes from `offset` on; whatever was not yet hashed before them is hashed on the way.
    pub(crate) async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes, Error> {
        while self.hashed < offset {
            let step = (offset - self.hashed).min(INLINE_DOCUMENT_BYTES);
            self.read_exact(self.hashed, step as usize).await?;
        }
        self.read_exact(offset, len).await
    }

    async fn read_exact(&mut self, offset: u64, len: usize) -> Result<Bytes, Error> {
        if self.at != offset {
            self.reader.seek(SeekFrom::Start(offset)).await.map_err(Error::document)?;
            self.at = offset;
        }
        let mut data = vec![0; len];
        self.reader.read_exact(&mut data).await.map_err(Error::document)?;
        self.at += len as u64;
        if self.at > self.hashed {
            let known = (self.hashed - offset) as usize;
            if let Some(new) = data.get(known..) {
                self.hasher.update(new);
            }
            self.hashed = self.at;
        }
        Ok(data.into())
    }

    /// The digest of the whole document; what was not read yet is read now.
    pub(crate) async fn digest(&mut self) -> Result<Sha256Digest, Error> {
        self.read_at(self.bytes, 0).await?;
        Ok(Sha256Digest::from_bytes(self.hasher.clone().finalize().into()))
    }
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<&[u8]> for Document {
    fn from(bytes: &[u8]) -> Self {
        Self::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digest_is_right_whatever_was_read_twice_or_skipped() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let whole = Sha256Digest::of(&bytes);
        let mut document = Document::from_bytes(bytes.clone());
        assert_eq!(&document.read_at(0, 1000).await.unwrap()[..], &bytes[..1000]);
        assert_eq!(&document.read_at(500, 1000).await.unwrap()[..], &bytes[500..1500]);
        assert_eq!(&document.read_at(150_000, 10).await.unwrap()[..], &bytes[150_000..150_010]);
        assert_eq!(&document.read_at(0, 10).await.unwrap()[..], &bytes[..10]);
        assert_eq!(document.digest().await.unwrap(), whole);
        assert_eq!(document.digest().await.unwrap(), whole);
    }

    #[tokio::test]
    async fn a_file_that_shrank_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("doc");
        std::fs::write(&path, vec![7; 1000]).unwrap();
        let mut document = Document::open(&path).await.unwrap();
        assert_eq!(document.bytes(), 1000);
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(document.read_at(0, 1000).await, Err(Error::Document(_))));
    }
}
