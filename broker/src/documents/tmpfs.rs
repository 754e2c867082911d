//! A disk that is full, for real: a tmpfs of 512 KiB (only root can mount one; `cargo xtask test` counts it as not run without).

use std::process::Command;

use bytes::Bytes;
use inkwire_protocol::ids::{AccountId, DocumentId, PrinterNumber, TransferId};
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::Layout;
use uuid::Uuid;

use super::{Documents, Space, UploadError};

struct Mount(tempfile::TempDir);

impl Mount {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(folder.path());
        let mounted = mount.status().is_ok_and(|status| status.success());
        assert!(mounted, "a tmpfs cannot be mounted: run as root, with CAP_SYS_ADMIN");
        Self(folder)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a writer that was told to end may still be closing its file.
        let done = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(done.is_ok_and(|status| status.success()), "the tmpfs is not unmounted");
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_full_disk_ends_the_upload_with_an_error_and_never_acks_what_is_not_there() {
    let mount = Mount::new();
    let documents =
        Documents::open(mount.0.path(), Space { min_free_bytes: 0, min_free_percent: 0 }).unwrap();
    assert!(documents.admit(1 << 20).is_ok(), "the guard is off here");
    let (account, id) = (AccountId::from_uuid(Uuid::from_u128(1)), DocumentId::from_uuid(Uuid::from_u128(2)));
    let layout = Layout::new(1 << 20, 16_000).unwrap();
    let upload = documents.upload(account, id, layout).await.unwrap();
    let data = Bytes::from(vec![7; 16_000]);
    let crc = Header::over(TransferId(0), PrinterNumber(0), 0, false, &data).crc32c;
    let mut sent = 0;
    for seq in 0..layout.packets() - 1 {
        if upload.write(seq, crc, data.clone()).await.is_err() {
            break;
        }
        sent = seq;
    }
    let mut durable = upload.durable.clone();
    while durable.changed().await.is_ok() {}
    assert!(*durable.borrow() <= 512 * 1024 / 16_000, "acked {}, sent {sent}", *durable.borrow());
    assert!(documents.finish(&upload, None).await.is_err());
    drop(upload);
    // The poisoned file is gone: the same upload begins anew.
    let again = loop {
        match documents.upload(account, id, layout).await {
            // Its writer is just ending.
            Err(UploadError::TakenOver) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(again.next_seq, 0);
}
