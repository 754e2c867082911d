//! The folder of documents.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkwire_protocol::ids::{AccountId, DocumentId, Sha256Digest};
use inkwire_protocol::transfer::Layout;
use sha2::{Digest as _, Sha256};

use super::source::hash_range;
use super::upload::{self, remove, sync_folder};
use super::{Disk, Intake, Source, Space, StorageFull, Upload, UploadError, Whole};
use crate::store::DocumentContent;

/// `documents/`; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    root: Arc<Path>,
    space: Space,
}

impl Documents {
    /// Opens or makes the folder.
    pub(crate) fn open(root: &Path, space: Space) -> std::io::Result<Self> {
        std::fs::create_dir_all(root)?;
        sync_folder(root)?;
        Ok(Self { root: root.into(), space })
    }

    /// Whether a document of `bytes` may come in.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), StorageFull> {
        match self.disk() {
            Ok(disk) => self.space.admits(bytes, disk.free_bytes, disk.total_bytes),
            Err(error) => {
                tracing::warn!(%error, "the free space cannot be asked for: documents are refused");
                Err(StorageFull { free: 0, wanted: self.space.min_free_bytes })
            }
        }
    }

    /// What is free, and what must stay so.
    pub(crate) fn disk(&self) -> std::io::Result<Disk> {
        let disk = rustix::fs::statvfs(&*self.root)?;
        let total_bytes = disk.f_blocks * disk.f_frsize;
        let reserved_bytes = self.space.reserved(total_bytes);
        Ok(Disk { free_bytes: disk.f_bavail * disk.f_frsize, total_bytes, reserved_bytes })
    }

    fn path(&self, account: AccountId, document: DocumentId) -> PathBuf {
        self.root.join(account.to_string()).join(document.to_string())
    }

    /// Begins or takes up an upload: what survived of it is found by its checksums.
    pub(crate) async fn upload(
        &self,
        account: AccountId,
        document: DocumentId,
        layout: Layout,
    ) -> Result<Upload, UploadError> {
        let path = self.path(account, document);
        blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
                sync_folder(folder)?;
            }
            let lock =
                File::options().create(true).truncate(false).write(true).open(path.with_extension("lock"))?;
            // The writer of an earlier connection ends as soon as its connection has.
            lock.try_lock().map_err(|_| UploadError::TakenOver)?;
            upload::begin(path, layout, lock)
        })
        .await
    }

    /// A document that will come in one piece.
    pub(crate) fn intake(&self, account: AccountId, document: DocumentId) -> Intake {
        Intake::new(self.clone(), document, self.path(account, document))
    }

    /// Gives the file of a document the name of another one too, durably: each goes when it is removed. False where there is no such file
    /// (any more).
    pub(crate) async fn link(
        &self,
        account: AccountId,
        from: DocumentId,
        to: DocumentId,
    ) -> Result<bool, UploadError> {
        let (from, to) = (self.path(account, from), self.path(account, to));
        blocking(move || match std::fs::hard_link(from, &to) {
            Ok(()) => Ok(sync_folder(&to).map(|()| true)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// When something of an upload last came; none where nothing is there.
    pub(crate) async fn last_came(
        &self,
        account: AccountId,
        document: DocumentId,
    ) -> Option<std::time::SystemTime> {
        let part = self.path(account, document).with_extension("part");
        tokio::fs::metadata(part).await.and_then(|found| found.modified()).ok()
    }

    /// Ends an upload: every packet has come. An upload that was finished before a crash is found under its final name.
    pub(crate) async fn finish(
        &self,
        upload: &Upload,
        stated: Option<Sha256Digest>,
    ) -> Result<Whole, UploadError> {
        upload.finish(stated).await
    }

    /// The document, if it already stands under its final name (its finish was cut off before its commit).
    pub(crate) async fn whole(
        &self,
        account: AccountId,
        document: DocumentId,
    ) -> Result<Option<Whole>, UploadError> {
        let path = self.path(account, document);
        blocking(move || {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let bytes = file.metadata()?.len();
            let mut hasher = Sha256::new();
            hash_range(&file, &mut hasher, 0, bytes)?;
            Ok(Some(Whole { bytes, sha256: Sha256Digest::from_bytes(hasher.finalize().into()) }))
        })
        .await
    }

    /// Where a delivery reads a document from; none where it is not here.
    pub(crate) fn source(
        &self,
        account: AccountId,
        document: DocumentId,
        content: DocumentContent,
        bytes: u64,
        sha256: Sha256Digest,
    ) -> Option<Arc<Source>> {
        match content {
            DocumentContent::Inline(content) => Some(Arc::new(Source::Inline(content))),
            DocumentContent::File => {
                Some(Arc::new(Source::file(self.path(account, document), bytes, sha256)))
            }
            DocumentContent::Absent => None,
        }
    }

    /// Removes the files of documents whose rows are gone (committed). One that stays is found by the next sweep.
    pub(crate) async fn remove(&self, files: Vec<(AccountId, DocumentId)>) {
        let paths: Vec<_> =
            files.into_iter().map(|(account, document)| self.path(account, document)).collect();
        let done = blocking(move || {
            for path in paths {
                for path in [
                    path.with_extension("part"),
                    path.with_extension("crc"),
                    path.with_extension("lock"),
                    path,
                ] {
                    remove(&path);
                }
            }
            Ok(())
        });
        if let Err(error) = done.await {
            tracing::warn!(%error, "documents could not be removed");
        }
    }

    /// At start, before anything is taken: removes every file whose document has no row. Says how many. Blocks.
    pub(crate) fn sweep(&self, known: &HashSet<(AccountId, DocumentId)>) -> std::io::Result<usize> {
        let mut removed = 0;
        for folder in std::fs::read_dir(&*self.root)? {
            let folder = folder?;
            let Some(account) = folder.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            for file in std::fs::read_dir(folder.path())? {
                let path = file?.path();
                let document =
                    path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                if document.is_some_and(|document| !known.contains(&(account, document))) {
                    remove(&path);
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(UploadError::Disk(error.to_string())))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use inkwire_protocol::limits::MIN_PACKET_BYTES;
    use uuid::Uuid;

    use super::*;

    const BYTES: u64 = 100_000;

    fn document() -> Vec<u8> {
        (0..BYTES as u32).map(|i| (i * 37 % 251) as u8).collect()
    }

    struct Desk {
        folder: tempfile::TempDir,
        documents: Documents,
        account: AccountId,
        id: DocumentId,
        layout: Layout,
    }

    fn desk() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let documents =
            Documents::open(folder.path(), Space { min_free_bytes: 0, min_free_percent: 0 }).unwrap();
        Desk {
            folder,
            documents,
            account: AccountId::from_uuid(Uuid::from_u128(1)),
            id: DocumentId::from_uuid(Uuid::from_u128(2)),
            layout: Layout::new(BYTES, MIN_PACKET_BYTES).unwrap(),
        }
    }

    impl Desk {
        async fn upload(&self) -> Upload {
            loop {
                match self.documents.upload(self.account, self.id, self.layout).await {
                    Err(UploadError::TakenOver) => tokio::task::yield_now().await,
                    other => return other.unwrap(),
                }
            }
        }

        async fn send(&self, upload: &mut Upload, to: u32) {
            let document = document();
            for seq in upload.next_seq..to {
                let slice = self.layout.slice(seq).unwrap();
                let start = slice.offset as usize;
                let data = Bytes::copy_from_slice(&document[start..start + slice.len as usize]);
                upload.write(seq, crc32c(&data), data).await.unwrap();
            }
            upload.durable.wait_for(|next| *next == to).await.unwrap();
        }
    }

    fn crc32c(data: &[u8]) -> u32 {
        use inkwire_protocol::ids::{PrinterNumber, TransferId};
        inkwire_protocol::packet::Header::over(TransferId(0), PrinterNumber(0), 0, false, data).crc32c
    }

    #[tokio::test]
    async fn an_upload_goes_on_where_it_was_cut() {
        let desk = desk();
        let mut at = 0;
        for cut in [10, 11, 50, desk.layout.packets()] {
            let mut upload = desk.upload().await;
            assert_eq!(upload.next_seq, at);
            desk.send(&mut upload, cut).await;
            at = cut;
        }
        let upload = desk.upload().await;
        let stated = Some(Sha256Digest::of(&document()));
        let whole = desk.documents.finish(&upload, stated).await.unwrap();
        assert_eq!((whole.bytes, Some(whole.sha256)), (BYTES, stated));
        assert_eq!(desk.documents.whole(desk.account, desk.id).await.unwrap(), Some(whole));
        let source =
            desk.documents.source(desk.account, desk.id, DocumentContent::File, BYTES, whole.sha256).unwrap();
        assert_eq!(source.read(0, BYTES as u32).await.unwrap(), document());
    }

    #[tokio::test]
    async fn what_is_missing_or_another_document_is_not_finished() {
        let desk = desk();
        let mut upload = desk.upload().await;
        desk.send(&mut upload, 5).await;
        let error = desk.documents.finish(&upload, None).await.unwrap_err();
        assert!(matches!(error, UploadError::Incomplete { next_seq: 5, packets: 98 }), "{error}");
        drop(upload);
        let mut upload = desk.upload().await;
        desk.send(&mut upload, desk.layout.packets()).await;
        let error = desk.documents.finish(&upload, Some(Sha256Digest::of(b"other"))).await.unwrap_err();
        assert!(matches!(error, UploadError::Digest { .. }), "{error}");
        drop(upload);
        assert_eq!(desk.upload().await.next_seq, 0, "it begins anew");
    }

    #[tokio::test]
    async fn damage_on_disk_is_found_when_the_upload_is_taken_up() {
        let desk = desk();
        let mut upload = desk.upload().await;
        desk.send(&mut upload, 40).await;
        drop(upload);
        let part = desk
            .folder
            .path()
            .join(desk.account.to_string())
            .join(desk.id.to_string())
            .with_extension("part");
        let mut bytes = std::fs::read(&part).unwrap();
        bytes[20 * MIN_PACKET_BYTES as usize] ^= 1;
        std::fs::write(&part, bytes).unwrap();
        assert_eq!(desk.upload().await.next_seq, 20);
    }

    #[tokio::test]
    async fn the_sweep_removes_what_has_no_row() {
        let desk = desk();
        let mut upload = desk.upload().await;
        desk.send(&mut upload, 2).await;
        drop(upload);
        assert_eq!(desk.documents.sweep(&HashSet::from([(desk.account, desk.id)])).unwrap(), 0);
        assert_eq!(desk.documents.sweep(&HashSet::new()).unwrap(), 3);
        assert_eq!(desk.upload().await.next_seq, 0);
    }
}
