//! Where the bytes of a delivery come from.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

/// Read ahead of the packet that is due: four packets, so that a blocking thread is not woken for each, and little enough
/// for 256 transfers of one agent.
const READ_AHEAD_BYTES: u64 = 64 * 1024;
/// Read at once while only the digest is wanted.
const HASH_BYTES: usize = 256 * 1024;

/// A document that is being delivered.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the row.
    Inline(Bytes),
    /// From its file.
    File(Box<FileSource>),
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

/// A document in its file. Opened at the first read; its SHA-256 is computed as it is read in order.
#[derive(Debug)]
pub(crate) struct FileSource {
    path: PathBuf,
    bytes: u64,
    sha256: Sha256Digest,
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    file: Option<Arc<File>>,
    /// What was read ahead, and where it begins.
    ahead: (u64, Bytes),
    /// The digest of every byte below `hashed`.
    hasher: Sha256,
    hashed: u64,
    /// The whole file was found to be what was accepted.
    checked: bool,
}

impl Source {
    /// The document in this file, which was accepted with this size and digest.
    pub(super) fn file(path: PathBuf, bytes: u64, sha256: Sha256Digest) -> Self {
        Self::File(Box::new(FileSource { path, bytes, sha256, place: Mutex::default() }))
    }

    /// The `len` bytes at `offset`. Cheap to call packet by packet in order: the next ones are read ahead. The read that reaches the end
    /// fails where the whole document is not what was accepted, so that damaged bytes are never completed; after a beginning in the
    /// middle that read takes as long as reading the whole document. Cancel safe.
    pub(crate) async fn read(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        match self {
            Self::Inline(bytes) => slice(bytes, 0, bytes.len() as u64, offset, len),
            Self::File(file) => file.read(offset, len).await,
        }
    }
}

impl Source {
    /// The `len` bytes at `offset`, as [`Source::read`] gives them, but never looking at the whole document: whoever wants a part of it
    /// checks the whole by its digest. Cancel safe.
    pub(crate) async fn part(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        match self {
            Self::Inline(_) => self.read(offset, len).await,
            Self::File(file) => file.part(offset, len).await,
        }
    }
}

/// Cuts the `len` bytes at `offset` out of `held`, which begins at `start` of a document of `bytes`.
fn slice(held: &Bytes, start: u64, bytes: u64, offset: u64, len: u32) -> Result<Bytes, SourceError> {
    let end = offset.saturating_add(u64::from(len));
    let range = offset.checked_sub(start).and_then(|from| usize::try_from(from).ok());
    range
        .and_then(|from| Some(from..from.checked_add(len as usize)?))
        .filter(|range| range.end <= held.len())
        .map(|range| held.slice(range))
        .ok_or(SourceError::Range { offset, end, bytes })
}

impl FileSource {
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        let end = offset.saturating_add(u64::from(len));
        if end > self.bytes {
            return Err(SourceError::Range { offset, end, bytes: self.bytes });
        }
        let mut place = self.place.lock().await;
        let have = place.ahead.0..place.ahead.0 + place.ahead.1.len() as u64;
        if !(have.start <= offset && end <= have.end) {
            place.ahead = (offset, self.fetch(&mut place, offset, u64::from(len)).await?);
        }
        let out = slice(&place.ahead.1, place.ahead.0, self.bytes, offset, len)?;
        if end == self.bytes {
            self.check(&mut place).await?;
            place.ahead = (0, Bytes::new());
            // A window of read-ahead must not be pinned by one small packet.
            return Ok(Bytes::copy_from_slice(&out));
        }
        Ok(out)
    }

    async fn part(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        let end = offset.saturating_add(u64::from(len));
        if end > self.bytes {
            return Err(SourceError::Range { offset, end, bytes: self.bytes });
        }
        let file = self.open(&mut *self.place.lock().await).await?;
        blocking(move || {
            let mut data = vec![0; len as usize];
            file.read_exact_at(&mut data, offset)?;
            Ok(Bytes::from(data))
        })
        .await
    }

    async fn fetch(&self, place: &mut Place, offset: u64, len: u64) -> Result<Bytes, SourceError> {
        let want = len.max(READ_AHEAD_BYTES).min(self.bytes - offset);
        let file = self.open(place).await?;
        let data = blocking(move || {
            let mut data = vec![0; usize::try_from(want).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut data, offset)?;
            Ok(Bytes::from(data))
        })
        .await?;
        // Bytes that were not seen before, if they follow what was.
        let end = offset + data.len() as u64;
        if offset <= place.hashed && place.hashed < end {
            let new = usize::try_from(place.hashed - offset).unwrap_or(usize::MAX);
            place.hasher.update(data.get(new..).unwrap_or_default());
            place.hashed = end;
        }
        Ok(data)
    }

    /// Reads what the digest has not seen yet and compares.
    async fn check(&self, place: &mut Place) -> Result<(), SourceError> {
        if place.checked {
            return Ok(());
        }
        let file = self.open(place).await?;
        let (mut hasher, hashed, bytes) = (place.hasher.clone(), place.hashed, self.bytes);
        let actual = blocking(move || {
            hash_range(&file, &mut hasher, hashed, bytes)?;
            Ok(hasher.finalize())
        })
        .await?;
        if Sha256Digest::from_bytes(actual.into()) != self.sha256 {
            return Err(SourceError::Damaged);
        }
        place.checked = true;
        Ok(())
    }

    async fn open(&self, place: &mut Place) -> Result<Arc<File>, SourceError> {
        if let Some(file) = &place.file {
            return Ok(Arc::clone(file));
        }
        let (path, bytes) = (self.path.clone(), self.bytes);
        let file = blocking(move || {
            let file = File::open(&path)?;
            let found = file.metadata()?.len();
            if found == bytes { Ok(Some(file)) } else { Ok(None) }
        })
        .await?;
        let file = Arc::new(file.ok_or(SourceError::Damaged)?);
        place.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// Feeds the bytes from `from` to `to` of a file to a digest.
pub(super) fn hash_range(file: &File, hasher: &mut Sha256, from: u64, to: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; HASH_BYTES];
    let mut at = from;
    while at < to {
        let want = usize::try_from(to - at).unwrap_or(usize::MAX).min(buffer.len());
        let part = &mut buffer[..want];
        file.read_exact_at(part, at)?;
        hasher.update(&*part);
        at += want as u64;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, SourceError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| SourceError::Io(error.to_string()))?;
    done.map_err(|error| SourceError::Io(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], accepted: &[u8]) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("document");
        std::fs::write(&path, content).unwrap();
        (folder, Source::file(path, accepted.len() as u64, Sha256Digest::of(accepted)))
    }

    fn document() -> Vec<u8> {
        (0..300_000_u32).map(|i| (i * 31 % 253) as u8).collect()
    }

    async fn read_all(source: &Source, bytes: u64, from: u64) -> Result<Vec<u8>, SourceError> {
        let mut out = Vec::new();
        let mut at = from;
        while at < bytes {
            let len = (bytes - at).min(16_320) as u32;
            out.extend_from_slice(&source.read(at, len).await?);
            at += u64::from(len);
        }
        Ok(out)
    }

    #[tokio::test]
    async fn it_gives_what_was_stored_from_any_place() {
        let document = document();
        let (_folder, source) = file(&document, &document);
        for from in [0, 16_320, 163_200] {
            assert_eq!(read_all(&source, 300_000, from).await.unwrap(), &document[from as usize..]);
        }
        let (_folder, fresh) = file(&document, &document);
        assert_eq!(read_all(&fresh, 300_000, 163_200).await.unwrap(), &document[163_200..]);
        assert!(matches!(fresh.read(299_999, 2).await, Err(SourceError::Range { .. })));
    }

    #[tokio::test]
    async fn a_damaged_document_is_never_completed_wherever_the_reading_began() {
        let accepted = document();
        for at in [0, 150_000, 299_999] {
            let mut damaged = accepted.clone();
            damaged[at] ^= 1;
            for from in [0, 163_200] {
                let (_folder, source) = file(&damaged, &accepted);
                let error = read_all(&source, 300_000, from).await.unwrap_err();
                assert!(matches!(error, SourceError::Damaged), "damage at {at}, read from {from}: {error}");
            }
        }
        let (_folder, short) = file(&accepted[..299_000], &accepted);
        assert!(matches!(short.read(0, 10).await, Err(SourceError::Damaged)));
    }

    #[tokio::test]
    async fn a_missing_file_and_a_read_beyond_the_end_are_errors() {
        let source = Source::file("/nowhere/document".into(), 5, Sha256Digest::of(b"x"));
        assert!(matches!(source.read(0, 5).await, Err(SourceError::Io(_))));
        let inline = Source::Inline(Bytes::from_static(b"abc"));
        assert_eq!(inline.read(1, 2).await.unwrap(), "bc");
        assert!(matches!(inline.read(2, 2).await, Err(SourceError::Range { .. })));
    }
}
