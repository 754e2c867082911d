//! A document on its way in: resumable, and durable before it is acked.
//!
//! One thread writes and syncs: packets come through a bounded channel, are written at their offset in `.part` with their
//! checksum in `.crc`, and both are synced when enough has gathered, or enough time has passed, or the last one came.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::limits::{SYNC_AFTER, SYNC_BYTES};
use inkwire_protocol::transfer::{Layout, Prefix, crc_entry, crc_offset};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot, watch};

use super::source::hash_range;

/// Packets between socket and disk: 1 MiB of the largest, below any window, so that only the disk limits.
const QUEUE_PACKETS: usize = 64;

/// A document on its way in. Dropping it only pauses the upload: what is durable stays.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) layout: Layout,
    /// Every packet below was durable when the upload was taken up: the sender begins here.
    pub(crate) next_seq: u32,
    /// Every packet below is durable: an ack is due when it changes. Closed where the file failed.
    pub(crate) durable: watch::Receiver<u32>,
    packets: mpsc::Sender<Work>,
    failed: Arc<OnceLock<UploadError>>,
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
    /// It filled up while the document came.
    #[error("the broker's disk filled up while the document came; remove old jobs or add space")]
    FilledUp,
    /// Packets are missing.
    #[error("packet {next_seq} of {packets} has not come")]
    Incomplete { next_seq: u32, packets: u32 },
    /// Not the document that was announced.
    #[error("the document's SHA-256 is {actual}, announced was {stated}")]
    Digest { stated: Sha256Digest, actual: Sha256Digest },
    /// Another connection has taken up this upload.
    #[error("another connection has taken up this upload")]
    TakenOver,
}

impl From<std::io::Error> for UploadError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            return Self::FilledUp;
        }
        Self::Disk(error.to_string())
    }
}

#[derive(Debug)]
enum Work {
    Packet { seq: u32, crc32c: u32, data: Bytes },
    Finish { stated: Option<Sha256Digest>, reply: oneshot::Sender<Result<Whole, UploadError>> },
}

impl Upload {
    /// Takes packet `seq`, which [`inkwire_protocol::transfer::Receiver`] let pass and whose checksum was checked. Waits
    /// while the disk is behind.
    pub(crate) async fn write(&self, seq: u32, crc32c: u32, data: Bytes) -> Result<(), UploadError> {
        self.packets.send(Work::Packet { seq, crc32c, data }).await.map_err(|_| self.failure())
    }

    /// Why its writer has stopped.
    pub(crate) fn failure(&self) -> UploadError {
        self.failed.get().cloned().unwrap_or_else(|| UploadError::Disk("its writer has stopped".into()))
    }

    /// Every packet was written: syncs, checks the digest, and gives the file its final name.
    pub(super) async fn finish(&self, stated: Option<Sha256Digest>) -> Result<Whole, UploadError> {
        let (reply, answer) = oneshot::channel();
        self.packets.send(Work::Finish { stated, reply }).await.map_err(|_| self.failure())?;
        answer.await.unwrap_or_else(|_| Err(self.failure()))
    }
}

/// Opens the partial file at `path` (without its suffix), finds what survived, and starts its writer. Blocks.
pub(super) fn begin(path: PathBuf, layout: Layout, lock: File) -> Result<Upload, UploadError> {
    let open = |suffix| {
        File::options().read(true).write(true).create(true).truncate(false).open(path.with_extension(suffix))
    };
    let (data, crcs) = (open("part")?, open("crc")?);
    let next_seq = surviving(&data, &crcs, layout)?;
    let (sender, packets) = mpsc::channel(QUEUE_PACKETS);
    let durable = watch::Sender::new(next_seq);
    let receiver = durable.subscribe();
    let failed = Arc::new(OnceLock::new());
    let writer = Writer {
        failed: Arc::clone(&failed),
        path,
        layout,
        data,
        crcs,
        next: next_seq,
        hasher: Sha256::new(),
        hashed: 0,
        durable,
        _lock: lock,
    };
    std::thread::Builder::new().name("document-writer".into()).spawn(move || writer.run(packets))?;
    Ok(Upload { layout, next_seq, durable: receiver, packets: sender, failed })
}

/// The longest prefix of packets that is what was received.
fn surviving(data: &File, crcs: &File, layout: Layout) -> std::io::Result<u32> {
    let mut list =
        vec![0; usize::try_from(crcs.metadata()?.len().min(crc_offset(layout.packets()))).unwrap_or(0)];
    crcs.read_exact_at(&mut list, 0)?;
    let have = data.metadata()?.len();
    let mut prefix = Prefix::new(layout, &list);
    let mut buffer = vec![0; layout.packet_bytes() as usize];
    while let Some(slice) = prefix.due() {
        if slice.offset + u64::from(slice.len) > have {
            break;
        }
        let part = &mut buffer[..slice.len as usize];
        data.read_exact_at(part, slice.offset)?;
        if !prefix.take(part) {
            break;
        }
    }
    Ok(prefix.next_seq())
}

struct Writer {
    failed: Arc<OnceLock<UploadError>>,
    path: PathBuf,
    layout: Layout,
    data: File,
    crcs: File,
    /// The next packet that is due.
    next: u32,
    /// The digest of every byte below `hashed`.
    hasher: Sha256,
    hashed: u64,
    durable: watch::Sender<u32>,
    /// Two writers of one file would spoil it.
    _lock: File,
}

impl Writer {
    fn run(mut self, mut packets: mpsc::Receiver<Work>) {
        while let Some(work) = packets.blocking_recv() {
            let result = match work {
                Work::Packet { seq, crc32c, data } => self.gather(seq, crc32c, &data, &mut packets),
                Work::Finish { stated, reply } => {
                    drop(reply.send(self.finish(stated)));
                    return;
                }
            };
            if let Err(error) = result {
                // The file is poisoned: what a failed sync leaves behind is anybody's guess, so it is not tried again.
                tracing::error!(path = %self.path.display(), %error, "a document cannot be stored");
                // Set once: this is the only place, and it ends the writer.
                let _first = self.failed.set(error.into());
                self.discard();
                return;
            }
        }
    }

    /// Writes this packet and what follows it until a sync is due, then syncs once.
    fn gather(
        &mut self,
        seq: u32,
        crc32c: u32,
        data: &[u8],
        packets: &mut mpsc::Receiver<Work>,
    ) -> std::io::Result<()> {
        let began = Instant::now();
        let mut gathered = self.put(seq, crc32c, data)?;
        let mut finish = None;
        while gathered < SYNC_BYTES && self.next < self.layout.packets() && began.elapsed() < SYNC_AFTER {
            match packets.try_recv() {
                Ok(Work::Packet { seq, crc32c, data }) => gathered += self.put(seq, crc32c, &data)?,
                Ok(Work::Finish { stated, reply }) => {
                    finish = Some((stated, reply));
                    break;
                }
                Err(mpsc::error::TryRecvError::Empty) => std::thread::park_timeout(SYNC_AFTER / 10),
                Err(mpsc::error::TryRecvError::Disconnected) => break,
            }
        }
        self.sync()?;
        if let Some((stated, reply)) = finish {
            drop(reply.send(self.finish(stated)));
        }
        Ok(())
    }

    fn put(&mut self, seq: u32, crc32c: u32, data: &[u8]) -> std::io::Result<u64> {
        let slice =
            self.layout.slice(seq).filter(|slice| seq == self.next && slice.len as usize == data.len());
        let slice = slice
            .ok_or_else(|| std::io::Error::other(format!("packet {seq} where {} was due", self.next)))?;
        self.data.write_all_at(data, slice.offset)?;
        self.crcs.write_all_at(&crc_entry(crc32c), crc_offset(seq))?;
        if self.hashed == slice.offset {
            self.hasher.update(data);
            self.hashed += data.len() as u64;
        }
        self.next += 1;
        Ok(data.len() as u64)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.data.sync_data()?;
        self.crcs.sync_data()?;
        self.durable.send_replace(self.next);
        Ok(())
    }

    fn finish(&mut self, stated: Option<Sha256Digest>) -> Result<Whole, UploadError> {
        let (next_seq, packets, bytes) = (self.next, self.layout.packets(), self.layout.bytes());
        if next_seq < packets {
            return Err(UploadError::Incomplete { next_seq, packets });
        }
        hash_range(&self.data, &mut self.hasher, self.hashed, bytes)?;
        let actual = Sha256Digest::from_bytes(self.hasher.finalize_reset().into());
        if let Some(stated) = stated.filter(|stated| *stated != actual) {
            self.discard();
            return Err(UploadError::Digest { stated, actual });
        }
        self.data.set_len(bytes)?;
        self.data.sync_all()?;
        std::fs::rename(self.path.with_extension("part"), &self.path)?;
        sync_folder(&self.path)?;
        remove(&self.path.with_extension("crc"));
        remove(&self.path.with_extension("lock"));
        Ok(Whole { bytes, sha256: actual })
    }

    fn discard(&self) {
        remove(&self.path.with_extension("part"));
        remove(&self.path.with_extension("crc"));
    }
}

/// Makes a new name in a folder durable.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file; one that stays is found by the sweep at the next start.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "a file could not be removed"),
    }
}
