//! A document whose size is known only at its end: streamed to its file, which is nothing before it is whole.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::limits::SYNC_BYTES;
use sha2::{Digest as _, Sha256};

use super::folder::blocking;
use super::upload::{remove, sync_folder};
use super::{Documents, UploadError, Whole};

/// A document on its way in. Dropped before [`Intake::finish`] it leaves nothing that counts: the next one begins anew.
#[derive(Debug)]
pub(crate) struct Intake {
    documents: Documents,
    path: PathBuf,
    /// Away while a thread writes.
    file: Option<(File, Sha256)>,
    gathered: BytesMut,
    bytes: u64,
}

impl Intake {
    pub(super) async fn begin(documents: Documents, path: PathBuf) -> Result<Self, UploadError> {
        let part = path.with_extension("part");
        let file = blocking(move || {
            if let Some(folder) = part.parent() {
                std::fs::create_dir_all(folder)?;
                sync_folder(folder)?;
            }
            Ok(File::create(part)?)
        });
        let file = Some((file.await?, Sha256::new()));
        Ok(Self { documents, path, file, gathered: BytesMut::new(), bytes: 0 })
    }

    /// Takes the next part. Waits for the disk where enough has gathered.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), UploadError> {
        self.gathered.extend_from_slice(data);
        self.bytes += data.len() as u64;
        if self.gathered.len() as u64 >= SYNC_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), UploadError> {
        let gathered: Bytes = self.gathered.split().freeze();
        self.documents.admit(gathered.len() as u64)?;
        let (mut file, mut hasher) = self.file.take().ok_or_else(broken)?;
        let written = blocking(move || {
            file.write_all(&gathered)?;
            hasher.update(&gathered);
            Ok((file, hasher))
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// It is whole: checks the digest and gives the file its final name, durably.
    pub(crate) async fn finish(mut self, stated: Option<Sha256Digest>) -> Result<Whole, UploadError> {
        self.flush().await?;
        let (file, hasher) = self.file.take().ok_or_else(broken)?;
        let (path, bytes) = (self.path, self.bytes);
        blocking(move || {
            let part = path.with_extension("part");
            let actual = Sha256Digest::from_bytes(hasher.finalize().into());
            if let Some(stated) = stated.filter(|stated| *stated != actual) {
                remove(&part);
                return Err(UploadError::Digest { stated, actual });
            }
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            sync_folder(&path)?;
            Ok(Whole { bytes, sha256: actual })
        })
        .await
    }
}

fn broken() -> UploadError {
    UploadError::Disk("an earlier write failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Space;
    use crate::store::DocumentContent;
    use inkwire_protocol::ids::{AccountId, DocumentId};
    use uuid::Uuid;

    #[tokio::test]
    async fn a_document_without_a_size_is_stored_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space { min_free_bytes: 0, min_free_percent: 0 };
        let documents = Documents::open(folder.path(), space).unwrap();
        let (account, id) =
            (AccountId::from_uuid(Uuid::from_u128(1)), DocumentId::from_uuid(Uuid::from_u128(2)));
        let content: Vec<u8> = (0..700_000_u32).map(|i| (i * 31 % 251) as u8).collect();
        let digest = Sha256Digest::of(&content);

        let mut cut = documents.intake(account, id).await.unwrap();
        cut.write(&content[..300_000]).await.unwrap();
        drop(cut);
        let mut wrong = documents.intake(account, id).await.unwrap();
        wrong.write(b"something else").await.unwrap();
        let error = wrong.finish(Some(digest)).await.unwrap_err();
        assert!(matches!(error, UploadError::Digest { .. }), "{error}");
        assert_eq!(documents.whole(account, id).await.unwrap(), None);

        let mut intake = documents.intake(account, id).await.unwrap();
        for part in content.chunks(16_000) {
            intake.write(part).await.unwrap();
        }
        let whole = intake.finish(Some(digest)).await.unwrap();
        assert_eq!(whole, Whole { bytes: content.len() as u64, sha256: digest });
        let source = documents.source(account, id, DocumentContent::File, whole.bytes, digest).unwrap();
        assert_eq!(source.read(500_000, 1000).await.unwrap(), content[500_000..501_000]);
    }

    #[tokio::test]
    async fn a_full_disk_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space { min_free_bytes: u64::MAX / 2, min_free_percent: 0 };
        let documents = Documents::open(folder.path(), space).unwrap();
        let (account, id) =
            (AccountId::from_uuid(Uuid::from_u128(1)), DocumentId::from_uuid(Uuid::from_u128(2)));
        let mut intake = documents.intake(account, id).await.unwrap();
        let error = intake.write(&vec![0; SYNC_BYTES as usize]).await.unwrap_err();
        assert!(matches!(error, UploadError::Full(_)), "{error}");
    }
}
