//! A spooled document as back-ends read it. Digests what it gives out, so that `completed` can say what went to the device.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::desk::arrival::{Arrival, Stage};
use crate::limits::READ_BYTES;
use crate::printers::backend::{Document, DocumentError};

/// Where the bytes lie.
#[derive(Debug)]
pub(crate) enum Source {
    /// In memory, from the ledger.
    Inline(Bytes),
    /// In a file of the spool.
    File(PathBuf),
}

/// A document being read.
pub(crate) struct Spooled {
    source: Source,
    /// Its size.
    bytes: u64,
    expected: Sha256Digest,
    file: Option<File>,
    /// Read from the source and not yet given out.
    chunk: Bytes,
    /// Bytes read from the source.
    read: u64,
    hash: Sha256,
    arrival: Option<watch::Receiver<Arrival>>,
    hold_open: Option<Duration>,
}

impl Spooled {
    /// A document that is whole.
    pub(crate) fn whole(source: Source, bytes: u64, expected: Sha256Digest) -> Self {
        Self {
            source,
            bytes,
            expected,
            file: None,
            chunk: Bytes::new(),
            read: 0,
            hash: Sha256::new(),
            arrival: None,
            hold_open: None,
        }
    }

    /// A document that is read while it arrives; a gap longer than `hold_open` is told as such.
    #[must_use]
    pub(crate) fn arriving(self, arrival: watch::Receiver<Arrival>, hold_open: Option<Duration>) -> Self {
        Self { arrival: Some(arrival), hold_open, ..self }
    }

    /// Reads everything once and compares the digest: before the first byte goes to a device.
    pub(crate) async fn verify(&mut self) -> Result<(), DocumentError> {
        while !self.read(READ_BYTES).await?.is_empty() {}
        self.start_over();
        Ok(())
    }

    /// Bytes that were given out since the last beginning, and their digest where that is all of them.
    pub(crate) fn given(&self) -> (u64, Option<Sha256Digest>) {
        let given = self.read - self.chunk.len() as u64;
        let digest = || Sha256Digest::from_bytes(self.hash.clone().finalize().into());
        (given, (given == self.bytes).then(digest))
    }

    fn start_over(&mut self) {
        self.file = None;
        self.chunk = Bytes::new();
        self.read = 0;
        self.hash = Sha256::new();
    }

    /// Waits until there is something to read; the number of bytes that are durable.
    async fn available(&mut self) -> Result<u64, DocumentError> {
        let Some(arrival) = &mut self.arrival else { return Ok(self.bytes) };
        let (read, bytes) = (self.read, self.bytes);
        let news = arrival.wait_for(|now| {
            now.stage != Stage::Arriving || (now.durable_bytes > read && now.durable_bytes < bytes)
        });
        let now = match self.hold_open {
            Some(limit) => tokio::time::timeout(limit, news)
                .await
                .map_err(|_| DocumentError::Gap(limit))?
                .map(|now| *now),
            None => news.await.map(|now| *now),
        };
        match now {
            Ok(Arrival { stage: Stage::Arriving, durable_bytes }) => Ok(durable_bytes),
            Ok(Arrival { stage: Stage::Whole, .. }) => Ok(bytes),
            // The task that writes it is gone without the end.
            Err(_) => Err(DocumentError::Dropped),
        }
    }

    async fn fill(&mut self, want: u64) -> Result<(), DocumentError> {
        let want = usize::try_from(want).unwrap_or(READ_BYTES).min(READ_BYTES);
        let chunk = match &self.source {
            Source::Inline(data) => {
                let start = usize::try_from(self.read).unwrap_or(usize::MAX).min(data.len());
                data.slice(start..(start + want).min(data.len()))
            }
            Source::File(path) => {
                let (path, file) = (path.clone(), self.file.take());
                let job = tokio::task::spawn_blocking(move || read_chunk(file, &path, want));
                let (file, chunk) = job
                    .await
                    .map_err(|error| std::io::Error::other(error.to_string()))
                    .flatten()
                    .map_err(|error| DocumentError::Damaged(error.to_string()))?;
                self.file = Some(file);
                chunk
            }
        };
        if chunk.is_empty() {
            let (have, bytes) = (self.read, self.bytes);
            return Err(DocumentError::Damaged(format!("it ends after {have} of {bytes} bytes")));
        }
        self.hash.update(&chunk);
        self.read += chunk.len() as u64;
        self.chunk = chunk;
        Ok(())
    }

    /// Before the last bytes are given out the digest of all must be right.
    fn check_end(&self) -> Result<(), DocumentError> {
        if self.read < self.bytes {
            return Ok(());
        }
        let found = Sha256Digest::from_bytes(self.hash.clone().finalize().into());
        if found != self.expected {
            return Err(DocumentError::Damaged(format!("its SHA-256 is {found}, not {}", self.expected)));
        }
        Ok(())
    }
}

fn read_chunk(file: Option<File>, path: &std::path::Path, want: usize) -> std::io::Result<(File, Bytes)> {
    let mut file = match file {
        Some(file) => file,
        None => File::open(path)?,
    };
    let mut chunk = Vec::with_capacity(want);
    Read::by_ref(&mut file).take(want as u64).read_to_end(&mut chunk)?;
    Ok((file, chunk.into()))
}

#[async_trait::async_trait]
impl Document for Spooled {
    async fn read(&mut self, max: usize) -> Result<Bytes, DocumentError> {
        if self.chunk.is_empty() {
            if self.read == self.bytes {
                self.check_end()?;
                return Ok(Bytes::new());
            }
            let available = self.available().await?;
            self.fill(available - self.read).await?;
            self.check_end()?;
        }
        let len = max.max(1).min(self.chunk.len());
        Ok(self.chunk.split_to(len))
    }

    async fn rewind(&mut self) -> Result<(), DocumentError> {
        if self.arrival.is_some() {
            return Err(DocumentError::Damaged("it is still arriving and cannot be read again".into()));
        }
        self.start_over();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(document: &mut Spooled) -> Result<Vec<u8>, DocumentError> {
        let mut bytes = Vec::new();
        loop {
            let chunk = document.read(1000).await?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    #[tokio::test]
    async fn it_gives_every_byte_and_their_digest_again_after_a_rewind() {
        let data: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        std::fs::write(&path, &data).unwrap();
        for source in [Source::File(path), Source::Inline(data.clone().into())] {
            let digest = Sha256Digest::of(&data);
            let mut document = Spooled::whole(source, data.len() as u64, digest);
            document.verify().await.unwrap();
            assert_eq!(document.read(10).await.unwrap(), &data[..10]);
            assert_eq!(document.given(), (10, None));
            document.rewind().await.unwrap();
            assert_eq!(all(&mut document).await.unwrap(), data);
            assert_eq!(document.given(), (700_000, Some(digest)));
        }
    }

    #[tokio::test]
    async fn damage_is_told_before_the_last_byte_is_given_out() {
        let wrong = Sha256Digest::of(b"other");
        let mut document = Spooled::whole(Source::Inline(Bytes::from_static(b"abc")), 3, wrong);
        assert!(matches!(document.read(10).await, Err(DocumentError::Damaged(_))));
        let right = Sha256Digest::of(b"abcd");
        let mut short = Spooled::whole(Source::Inline(Bytes::from_static(b"abc")), 4, right);
        assert_eq!(short.read(10).await.unwrap(), "abc");
        assert!(matches!(short.read(10).await, Err(DocumentError::Damaged(_))));
    }

    #[tokio::test]
    async fn while_it_arrives_it_waits_tells_gaps_and_the_end() {
        let (news, arrival) = watch::channel(Arrival::so_far(0));
        let data = Bytes::from_static(b"abcdef");
        let mut document = Spooled::whole(Source::Inline(data.clone()), 6, Sha256Digest::of(&data))
            .arriving(arrival, Some(Duration::from_millis(20)));
        assert_eq!(document.read(9).await, Err(DocumentError::Gap(Duration::from_millis(20))));
        news.send_replace(Arrival::so_far(4));
        assert_eq!(document.read(9).await.unwrap(), "abcd");
        // All bytes are there, but whether they are the right ones is not yet known.
        news.send_replace(Arrival::so_far(6));
        assert!(matches!(document.read(9).await, Err(DocumentError::Gap(_))));
        news.send_replace(Arrival { durable_bytes: 6, stage: Stage::Whole });
        assert_eq!(document.read(9).await.unwrap(), "ef");
        assert!(document.read(9).await.unwrap().is_empty());

        let (news, arrival) = watch::channel(Arrival::so_far(0));
        let mut document =
            Spooled::whole(Source::Inline(data), 6, Sha256Digest::of(b"")).arriving(arrival, None);
        drop(news);
        assert_eq!(document.read(9).await, Err(DocumentError::Dropped));
    }
}
