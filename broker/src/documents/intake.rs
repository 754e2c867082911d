//! A document that comes in one piece, by an HTTP body: never held as a whole, and never resumed.
//!
//! What fits a row stays in memory; anything larger goes to `.part` as it comes, and gets its final name when it is whole and synced.
//! Dropping the intake throws away what has come.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use inkwire_protocol::limits::INLINE_DOCUMENT_BYTES;
use sha2::{Digest as _, Sha256};

use super::folder::blocking;
use super::upload::{remove, sync_folder};
use super::{Documents, UploadError, Whole};

/// Gathered in memory before it is written: few wake-ups of a blocking thread, and little enough for every upload that may run.
const WRITE_BYTES: usize = 256 * 1024;
/// Synced so often on the way, so that the sync at the end is short; the free space is looked at as often.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;

/// A document on its way in.
#[derive(Debug)]
pub(crate) struct Intake {
    documents: Documents,
    id: DocumentId,
    path: PathBuf,
    gathered: BytesMut,
    file: Option<Growing>,
    /// There is, or was, a `.part`.
    began: bool,
    bytes: u64,
}

#[derive(Debug)]
struct Growing {
    file: File,
    hasher: Sha256,
    written: u64,
    synced: u64,
}

/// A document that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// Small enough for its row.
    Small(Bytes),
    /// In its file, under its final name and synced.
    Stored(DocumentId, Whole),
}

impl Intake {
    pub(super) fn new(documents: Documents, id: DocumentId, path: PathBuf) -> Self {
        Self { documents, id, path, gathered: BytesMut::new(), file: None, began: false, bytes: 0 }
    }

    /// Bytes that have come.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes. Waits while the disk is behind.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), UploadError> {
        self.bytes += data.len() as u64;
        self.gathered.extend_from_slice(data);
        let small = self.file.is_none() && self.bytes <= INLINE_DOCUMENT_BYTES;
        if small || (self.file.is_some() && self.gathered.len() < WRITE_BYTES) {
            return Ok(());
        }
        self.put(false).await
    }

    /// It is whole: its bytes, or the file that it is in. A file that no job comes to have must be removed.
    pub(crate) async fn finish(mut self) -> Result<Came, UploadError> {
        if self.file.is_none() {
            return Ok(Came::Small(self.gathered.split().freeze()));
        }
        self.put(true).await?;
        let digest = self.file.take().map(|growing| growing.hasher.finalize());
        let digest = digest.ok_or_else(|| UploadError::Disk("the file is gone".into()))?;
        let path = self.path.clone();
        blocking(move || {
            std::fs::rename(path.with_extension("part"), &path)?;
            sync_folder(&path)?;
            Ok(())
        })
        .await?;
        Ok(Came::Stored(
            self.id,
            Whole { bytes: self.bytes, sha256: Sha256Digest::from_bytes(digest.into()) },
        ))
    }

    /// It is whole and has a name already, whatever its size: checks the digest and gives it that name, durably.
    pub(crate) async fn finish_as_file(mut self, stated: Option<Sha256Digest>) -> Result<Whole, UploadError> {
        self.put(true).await?;
        let digest = self.file.take().map(|growing| growing.hasher.finalize());
        let digest = digest.ok_or_else(|| UploadError::Disk("the file is gone".into()))?;
        let actual = Sha256Digest::from_bytes(digest.into());
        if let Some(stated) = stated.filter(|stated| *stated != actual) {
            return Err(UploadError::Digest { stated, actual });
        }
        let (path, bytes) = (self.path.clone(), self.bytes);
        blocking(move || {
            std::fs::rename(path.with_extension("part"), &path)?;
            sync_folder(&path)?;
            Ok(Whole { bytes, sha256: actual })
        })
        .await
    }

    async fn put(&mut self, last: bool) -> Result<(), UploadError> {
        let growing = self.file.take();
        self.began = true;
        if growing.as_ref().is_none_or(|growing| growing.synced + SYNC_EVERY_BYTES <= growing.written) {
            self.documents.admit(0)?;
        }
        let (path, data) = (self.path.clone(), self.gathered.split().freeze());
        let growing = blocking(move || {
            let mut growing = match growing {
                Some(growing) => growing,
                None => Growing::open(&path)?,
            };
            growing.file.write_all_at(&data, growing.written)?;
            growing.hasher.update(&data);
            growing.written += data.len() as u64;
            if last {
                growing.file.sync_all()?;
            } else if growing.synced + SYNC_EVERY_BYTES <= growing.written {
                growing.file.sync_data()?;
                growing.synced = growing.written;
            }
            Ok(growing)
        })
        .await?;
        self.file = Some(growing);
        Ok(())
    }

    /// Throws away a document that came, but that no job has.
    pub(crate) async fn discard(documents: &Documents, account: AccountId, came: &Came) {
        if let Came::Stored(id, _) = came {
            documents.remove(vec![(account, *id)]).await;
        }
    }
}

impl Growing {
    fn open(path: &std::path::Path) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
            sync_folder(folder)?;
        }
        let file =
            File::options().create(true).truncate(true).write(true).open(path.with_extension("part"))?;
        Ok(Self { file, hasher: Sha256::new(), written: 0, synced: 0 })
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // Nothing where it was small, or has its final name. On whatever thread this is: one unlink.
        if self.began {
            remove(&self.path.with_extension("part"));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::Space;
    use super::*;

    fn desk() -> (tempfile::TempDir, Documents, AccountId) {
        let folder = tempfile::tempdir().unwrap();
        let space = Space { min_free_bytes: 0, min_free_percent: 0 };
        let documents = Documents::open(folder.path(), space).unwrap();
        (folder, documents, AccountId::from_uuid(Uuid::from_u128(1)))
    }

    fn files(folder: &tempfile::TempDir) -> Vec<String> {
        let account = AccountId::from_uuid(Uuid::from_u128(1)).to_string();
        let Ok(list) = std::fs::read_dir(folder.path().join(account)) else { return Vec::new() };
        list.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_fits_a_row_makes_no_file() {
        let (folder, documents, account) = desk();
        let mut intake = documents.intake(account, DocumentId::from_uuid(Uuid::now_v7()));
        let document = vec![7; INLINE_DOCUMENT_BYTES as usize];
        for part in document.chunks(1000) {
            intake.write(part).await.unwrap();
        }
        assert_eq!(intake.finish().await.unwrap(), Came::Small(document.into()));
        assert!(files(&folder).is_empty());
    }

    #[tokio::test]
    async fn what_is_larger_stands_in_its_file_and_what_is_cut_leaves_nothing() {
        let (folder, documents, account) = desk();
        let document: Vec<u8> = (0..1_000_000_u32).map(|i| (i * 31 % 251) as u8).collect();
        let id = DocumentId::from_uuid(Uuid::now_v7());
        for cut in [true, false] {
            let mut intake = documents.intake(account, id);
            for part in document.chunks(70_001) {
                intake.write(part).await.unwrap();
            }
            assert_eq!(files(&folder), [format!("{id}.part")]);
            if cut {
                drop(intake);
                assert!(files(&folder).is_empty());
                continue;
            }
            let came = intake.finish().await.unwrap();
            let whole = Whole { bytes: 1_000_000, sha256: Sha256Digest::of(&document) };
            assert_eq!(came, Came::Stored(id, whole));
            assert_eq!(files(&folder), [id.to_string()]);
            assert_eq!(documents.whole(account, id).await.unwrap(), Some(whole));
            Intake::discard(&documents, account, &came).await;
            assert!(files(&folder).is_empty());
        }
    }

    #[tokio::test]
    async fn what_has_a_name_already_becomes_a_file_or_nothing() {
        let (folder, documents, account) = desk();
        let id = DocumentId::from_uuid(Uuid::now_v7());
        let digest = Sha256Digest::of(b"small");
        for (content, good) in [(&b"other"[..], false), (b"small", true)] {
            let mut intake = documents.intake(account, id);
            intake.write(content).await.unwrap();
            let finished = intake.finish_as_file(Some(digest)).await;
            if good {
                assert_eq!(finished.unwrap(), Whole { bytes: 5, sha256: digest });
                assert_eq!(files(&folder), [id.to_string()]);
            } else {
                assert!(matches!(finished, Err(UploadError::Digest { .. })));
                assert!(files(&folder).is_empty());
            }
        }
    }
}
