//! Bytes counted where they enter and leave: below TLS, so that half a record already counts as life.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a [`Metered`] stream has counted; clones look at the same counters.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    began: Instant,
    read: AtomicU64,
    written: AtomicU64,
    last_read_us: AtomicU64,
}

impl Meter {
    /// A meter that has counted nothing; "last read" is now.
    pub fn new() -> Self {
        let counters =
            Counters { began: Instant::now(), read: 0.into(), written: 0.into(), last_read_us: 0.into() };
        Self(Arc::new(counters))
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.0.read.load(Relaxed)
    }

    /// Bytes that the kernel has taken so far.
    pub fn bytes_written(&self) -> u64 {
        self.0.written.load(Relaxed)
    }

    /// When the last byte was read, or the meter was made.
    pub fn last_read(&self) -> Instant {
        self.0.began + Duration::from_micros(self.0.last_read_us.load(Relaxed))
    }

    fn count_read(&self, bytes: usize) {
        if bytes > 0 {
            self.0.read.fetch_add(bytes as u64, Relaxed);
            let since = u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.0.last_read_us.store(since, Relaxed);
        }
    }

    fn count_written(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Relaxed);
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream that counts its bytes.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    meter: Meter,
}

impl<S> Metered<S> {
    /// Counts from now on.
    pub fn new(inner: S) -> Self {
        Self { inner, meter: Meter::new() }
    }

    /// The counters, to be kept beside the stream.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The stream beneath.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.meter.count_read(buf.filled().len().saturating_sub(before));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.count_written(bytes);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.count_written(bytes);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
