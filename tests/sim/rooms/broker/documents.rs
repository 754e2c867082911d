//! Documents: in the row, or in a file that was synced before its row.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};

use crate::store::DocumentContent;

/// A document that is being delivered.
#[derive(Debug)]
pub(crate) struct Source(Bytes);

#[derive(Debug, Clone, thiserror::Error)]
#[error("the document cannot be read: {0}")]
pub(crate) struct SourceError(pub(crate) String);

impl Source {
    pub(crate) fn of(bytes: Bytes) -> Arc<Self> {
        Arc::new(Self(bytes))
    }

    pub(crate) async fn read(&self, offset: u64, len: u32) -> Result<Bytes, SourceError> {
        if crate_slow() {
            tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        }
        let end = offset as usize + len as usize;
        if end > self.0.len() {
            return Err(SourceError("beyond its end".into()));
        }
        Ok(self.0.slice(offset as usize..end))
    }
}

fn crate_slow() -> bool {
    HERE::chance::one_in(16)
}

/// The documents of a broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents;

fn path(document: DocumentId) -> PathBuf {
    PathBuf::from(format!("/broker/documents/{document}"))
}

impl Documents {
    /// Puts a document on stable storage.
    pub(crate) fn put(&self, document: DocumentId, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::File::create(path(document))?;
        file.write_all(bytes)?;
        file.sync_data()?;
        let synced = inkwire_service::fsio::sync_dir(std::path::Path::new("/broker/documents"));
        synced.map_err(|error| error.source)
    }

    pub(crate) fn source(
        &self,
        _: AccountId,
        document: DocumentId,
        content: DocumentContent,
        bytes: u64,
        sha256: Sha256Digest,
    ) -> Option<Arc<Source>> {
        let found = match content {
            DocumentContent::Inline(found) => found,
            DocumentContent::File => {
                use std::io::Read as _;
                let mut found = Vec::new();
                std::fs::File::open(path(document)).ok()?.read_to_end(&mut found).ok()?;
                Bytes::from(found)
            }
            DocumentContent::Absent => return None,
        };
        (found.len() as u64 == bytes && Sha256Digest::of(&found) == sha256).then(|| Source::of(found))
    }
}
