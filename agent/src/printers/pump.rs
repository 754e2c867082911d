//! Gives a document to anything that takes bytes, with back-pressure, while something else is watched.

use std::future::Future;
use std::io;
use std::pin::pin;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backend::{Document, DocumentError, Journal};
use super::limits::{CHUNK_BYTES, STALLED_AFTER};

/// The reason that is told while a raw device takes no bytes; it has no better words.
const STALLED: &str = "device-not-taking-data";

/// How the giving ended; `bytes` were taken by then.
#[derive(Debug)]
pub(super) enum Pumped<T> {
    /// All of it.
    All { bytes: u64 },
    /// The document failed.
    Document { error: DocumentError, bytes: u64 },
    /// The device failed.
    Device { error: io::Error, bytes: u64 },
    /// Somebody asked to stop.
    Canceled { bytes: u64 },
    /// What was watched came to its end.
    Watched { what: T, bytes: u64 },
}

/// Writes `first` and then the rest of `document`, until all is given or something ends it. `watched` is only polled.
pub(super) async fn pump<T, W: AsyncWrite + Unpin + Send>(
    first: Bytes,
    document: &mut dyn Document,
    writer: &mut W,
    watched: impl Future<Output = T>,
    journal: &dyn Journal,
    cancel: &CancellationToken,
) -> Pumped<T> {
    let mut watched = pin!(watched);
    let mut chunk = first;
    let mut bytes = 0;
    while !chunk.is_empty() {
        let mut stall = Stall::new(journal);
        while !chunk.is_empty() {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Pumped::Canceled { bytes },
                wrote = writer.write(&chunk) => match wrote {
                    Ok(0) => return Pumped::Device { error: io::ErrorKind::WriteZero.into(), bytes },
                    Ok(count) => {
                        chunk.advance(count);
                        bytes += count as u64;
                        journal.delivered(bytes);
                        stall.over();
                    }
                    Err(error) => return Pumped::Device { error, bytes },
                },
                what = &mut watched => return Pumped::Watched { what, bytes },
                () = stall.begins() => {}
            }
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Pumped::Canceled { bytes },
            read = document.read(CHUNK_BYTES) => match read {
                Ok(next) => chunk = next,
                Err(error) => return Pumped::Document { error, bytes },
            },
            what = &mut watched => return Pumped::Watched { what, bytes },
        }
    }
    Pumped::All { bytes }
}

/// Tells the journal when a device takes no byte for long, and when it goes on.
struct Stall<'a> {
    journal: &'a dyn Journal,
    at: Instant,
    told: bool,
}

impl<'a> Stall<'a> {
    fn new(journal: &'a dyn Journal) -> Self {
        Self { journal, at: Instant::now() + STALLED_AFTER, told: false }
    }

    /// Resolves once when the device has been still for too long, and tells.
    async fn begins(&mut self) {
        if self.told {
            return std::future::pending().await;
        }
        sleep_until(self.at).await;
        self.told = true;
        self.journal.stopped(&[STALLED.to_owned()], "the device is connected but takes no bytes");
    }

    fn over(&mut self) {
        self.at = Instant::now() + STALLED_AFTER;
        if std::mem::take(&mut self.told) {
            self.journal.stopped(&[], "");
        }
    }
}
