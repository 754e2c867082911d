//! A document that is partly here: `<job>-<attempt>.part` beside `<job>-<attempt>.crc`.
//!
//! ```text
//! .part   data of packet 0, 1, 2 ...
//! .crc    mark (u32, big-endian): packets that were synced and may have been acknowledged; then 4 bytes a packet
//! ```
//!
//! The data is synced before the mark is written, and the mark before an ack leaves: a prefix shorter than the mark means
//! that bytes were damaged after they were acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::transfer::{Layout, Prefix, crc_entry, crc_offset};
use sha2::{Digest, Sha256};

use super::change::JobKey;

/// Bytes of the mark before the checksums.
pub(crate) const MARK_BYTES: u64 = 4;

/// A packet on its way to the disk.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) seq: u32,
    pub(crate) crc32c: u32,
    pub(crate) data: Bytes,
}

/// Why a partial document cannot be written on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// No space.
    #[error("the disk of the spool is full")]
    Full,
    /// A write or sync failed; what is on the disk is not known any more, and nothing is tried again.
    #[error("the spool file cannot be written: {0}")]
    Poisoned(String),
}

impl From<io::Error> for PartError {
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full
        } else {
            Self::Poisoned(error.to_string())
        }
    }
}

/// A partial document of another length than was acknowledged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{acked} packets were acknowledged, {found} are whole")]
pub(crate) struct Damaged {
    /// Packets that were acknowledged.
    pub(crate) acked: u32,
    /// Packets that are whole.
    pub(crate) found: u32,
}

/// Where the two files of an attempt lie.
pub(crate) fn paths(dir: &Path, key: JobKey) -> (PathBuf, PathBuf) {
    (dir.join(format!("{key}.part")), dir.join(format!("{key}.crc")))
}

/// A partial document, open for writing. Blocks: lives on blocking threads.
#[derive(Debug)]
pub(crate) struct PartFile {
    data: File,
    crcs: File,
    layout: Layout,
    next: u32,
    hash: Sha256,
    poisoned: bool,
}

impl PartFile {
    /// Makes both files, empty, with their names on stable storage.
    pub(crate) fn create(dir: &Path, key: JobKey, layout: Layout) -> Result<Self, PartError> {
        let (data, crcs) = paths(dir, key);
        let make =
            |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let (data, mut crcs) = (make(&data)?, make(&crcs)?);
        crcs.write_all(&0_u32.to_be_bytes())?;
        inkwire_service::fsio::sync_dir(dir).map_err(|error| error.source)?;
        Ok(Self { data, crcs, layout, next: 0, hash: Sha256::new(), poisoned: false })
    }

    /// Opens what a process that is gone has left: the longest prefix whose checksums match counts.
    ///
    /// # Errors
    /// The outer error is the disk's; the inner one says that acknowledged bytes are damaged.
    pub(crate) fn reopen(
        dir: &Path,
        key: JobKey,
        layout: Layout,
    ) -> Result<Result<Self, Damaged>, PartError> {
        let (data, crcs) = paths(dir, key);
        let open =
            |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let (mut data, mut crcs) = (open(&data)?, open(&crcs)?);
        let mut listed = Vec::new();
        Read::by_ref(&mut crcs).take(MARK_BYTES + crc_offset(layout.packets())).read_to_end(&mut listed)?;
        let acked = listed.first_chunk::<4>().map_or(0, |mark| u32::from_be_bytes(*mark));
        let entries = listed.get(MARK_BYTES as usize..).unwrap_or_default();
        let mut hash = Sha256::new();
        let found = walk(&mut data, layout, entries, &mut hash)?;
        if found < acked {
            return Ok(Err(Damaged { acked, found }));
        }
        Ok(Ok(Self { data, crcs, layout, next: found, hash, poisoned: false }))
    }

    /// Writes packets that follow each other and syncs them; returns the first packet that is not yet durable. Packets
    /// that are there already are passed over.
    pub(crate) fn append(&mut self, pieces: &[Piece]) -> Result<u32, PartError> {
        if self.poisoned {
            return Err(PartError::Poisoned("an earlier write failed".into()));
        }
        let done = self.write(pieces);
        self.poisoned = done.is_err();
        done
    }

    fn write(&mut self, pieces: &[Piece]) -> Result<u32, PartError> {
        let new = || pieces.iter().filter(|piece| piece.seq >= self.next);
        let Some(first) = new().next() else { return Ok(self.next) };
        self.data.seek(SeekFrom::Start(self.layout.bytes_below(first.seq)))?;
        let mut entries = Vec::with_capacity(pieces.len() * 4);
        let mut next = self.next;
        for piece in pieces.iter().filter(|piece| piece.seq >= self.next) {
            if piece.seq != next {
                return Err(PartError::Poisoned(format!("packet {} came where {next} was due", piece.seq)));
            }
            self.data.write_all(&piece.data)?;
            entries.extend_from_slice(&crc_entry(piece.crc32c));
            self.hash.update(&piece.data);
            next += 1;
        }
        self.data.sync_data()?;
        self.crcs.seek(SeekFrom::Start(MARK_BYTES + crc_offset(self.next)))?;
        self.crcs.write_all(&entries)?;
        self.crcs.seek(SeekFrom::Start(0))?;
        self.crcs.write_all(&next.to_be_bytes())?;
        self.crcs.sync_data()?;
        self.next = next;
        Ok(next)
    }

    /// The first packet that is not durable.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Digest of the durable prefix.
    pub(crate) fn digest(&self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.hash.clone().finalize().into())
    }
}

/// Reads the data as far as the checksums match; returns the first packet that does not.
pub(super) fn walk(data: &mut File, layout: Layout, entries: &[u8], hash: &mut Sha256) -> io::Result<u32> {
    let mut reader = io::BufReader::with_capacity(crate::limits::READ_BYTES, data);
    let mut packet = vec![0; layout.packet_bytes() as usize];
    let mut prefix = Prefix::new(layout, entries);
    while let Some(slice) = prefix.due() {
        let Some(packet) = packet.get_mut(..slice.len as usize) else { break };
        match reader.read_exact(packet) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        if !prefix.take(packet) {
            break;
        }
        hash.update(&*packet);
    }
    Ok(prefix.next_seq())
}

/// Removes both files; that they are gone already is no error.
pub(crate) fn remove(dir: &Path, key: JobKey) -> io::Result<()> {
    let (data, crcs) = paths(dir, key);
    for path in [data, crcs] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{Attempt, JobId};

    fn key() -> JobKey {
        JobKey::new(JobId::from_uuid(uuid::Uuid::from_u128(7)), Attempt(1))
    }

    fn document() -> Vec<u8> {
        (0..10_000_u32).map(|i| (i * 13 % 251) as u8).collect()
    }

    fn pieces(from: u32, to: u32) -> Vec<Piece> {
        let document = document();
        let layout = Layout::new(10_000, 1024).unwrap();
        (from..to)
            .map(|seq| {
                let slice = layout.slice(seq).unwrap();
                let start = slice.offset as usize;
                let data = Bytes::copy_from_slice(&document[start..start + slice.len as usize]);
                Piece { seq, crc32c: crc32c(&data), data }
            })
            .collect()
    }

    fn crc32c(data: &[u8]) -> u32 {
        inkwire_protocol::packet::Header::over(
            inkwire_protocol::ids::TransferId(1),
            inkwire_protocol::ids::PrinterNumber(1),
            0,
            false,
            data,
        )
        .crc32c
    }

    fn written(dir: &Path, packets: u32) {
        let layout = Layout::new(10_000, 1024).unwrap();
        let mut part = PartFile::create(dir, key(), layout).unwrap();
        assert_eq!(part.append(&pieces(0, 2)).unwrap(), 2);
        assert_eq!(part.append(&pieces(1, packets)).unwrap(), packets);
    }

    #[test]
    fn it_goes_on_where_it_stood_and_knows_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 4);
        let layout = Layout::new(10_000, 1024).unwrap();
        let mut part = PartFile::reopen(dir.path(), key(), layout).unwrap().unwrap();
        assert_eq!(part.next(), 4);
        assert_eq!(part.append(&pieces(3, 10)).unwrap(), 10);
        assert_eq!(part.digest(), Sha256Digest::of(&document()));
        assert_eq!(std::fs::read(paths(dir.path(), key()).0).unwrap(), document());
        remove(dir.path(), key()).unwrap();
        remove(dir.path(), key()).unwrap();
    }

    #[test]
    fn damage_to_what_was_acknowledged_is_told_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(10_000, 1024).unwrap();
        let (data, crcs) = paths(dir.path(), key());
        for at in (0..4096).step_by(97) {
            written(dir.path(), 4);
            let mut bytes = std::fs::read(&data).unwrap();
            bytes[at] ^= 0x10;
            std::fs::write(&data, bytes).unwrap();
            let damaged = PartFile::reopen(dir.path(), key(), layout).unwrap().unwrap_err();
            assert_eq!(damaged, Damaged { acked: 4, found: (at / 1024) as u32 });
        }
        for keep in 0..20 {
            written(dir.path(), 4);
            let bytes = std::fs::read(&crcs).unwrap();
            std::fs::write(&crcs, &bytes[..keep]).unwrap();
            let reopened = PartFile::reopen(dir.path(), key(), layout).unwrap();
            // Without its mark the file is as good as none: the broker, who knows what was acknowledged, notices.
            assert_eq!(reopened.is_err(), keep >= 4, "kept {keep} bytes");
        }
    }

    #[test]
    fn what_was_written_but_never_acknowledged_may_be_torn() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 4);
        let layout = Layout::new(10_000, 1024).unwrap();
        let (data, crcs) = paths(dir.path(), key());
        // As after a crash between two syncs: data of packet 4 half there, its checksum not.
        let mut bytes = std::fs::read(&data).unwrap();
        bytes.extend_from_slice(&pieces(4, 5)[0].data[..500]);
        std::fs::write(&data, &bytes).unwrap();
        assert_eq!(PartFile::reopen(dir.path(), key(), layout).unwrap().unwrap().next(), 4);
        // And with a checksum whose data is not whole.
        let mut list = std::fs::read(&crcs).unwrap();
        list.extend_from_slice(&pieces(4, 5)[0].crc32c.to_be_bytes());
        std::fs::write(&crcs, list).unwrap();
        assert_eq!(PartFile::reopen(dir.path(), key(), layout).unwrap().unwrap().next(), 4);
    }
}
