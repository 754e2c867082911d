//! A document that is read no faster than its printer's pacing: for devices that lose bytes where they come faster than they print, and
//! have no way to say so.

use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::printers::backend::{Document, DocumentError};

/// Pieces a second: the device gets a steady trickle and no gulps.
const PIECES: u64 = 10;

/// Reads `inner` at `bytes_s` bytes a second at most.
pub(crate) struct Paced<'a, D> {
    inner: &'a mut D,
    bytes_s: Option<NonZeroU64>,
    /// The next bytes may be read then.
    due: Instant,
}

impl<'a, D: Document> Paced<'a, D> {
    /// None (or zero) is as fast as the device takes it.
    pub(crate) fn new(inner: &'a mut D, bytes_s: Option<u64>) -> Self {
        Self { inner, bytes_s: bytes_s.and_then(NonZeroU64::new), due: Instant::now() }
    }
}

#[async_trait::async_trait]
impl<D: Document> Document for Paced<'_, D> {
    async fn read(&mut self, max: usize) -> Result<Bytes, DocumentError> {
        let Some(rate) = self.bytes_s else { return self.inner.read(max).await };
        sleep_until(self.due).await;
        let piece = usize::try_from((rate.get() / PIECES).max(1)).unwrap_or(usize::MAX);
        let bytes = self.inner.read(piece.min(max)).await?;
        let nanos = u128::from(bytes.len() as u64) * 1_000_000_000 / u128::from(rate.get());
        // A device that was slow by itself gets no credit for it: it would come as a gulp.
        self.due = Instant::now() + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Ok(bytes)
    }

    async fn rewind(&mut self) -> Result<(), DocumentError> {
        self.inner.rewind().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Bytes);

    #[async_trait::async_trait]
    impl Document for Memory {
        async fn read(&mut self, max: usize) -> Result<Bytes, DocumentError> {
            Ok(self.0.split_to(max.min(self.0.len())))
        }

        async fn rewind(&mut self) -> Result<(), DocumentError> {
            Ok(())
        }
    }

    async fn seconds(bytes: usize, rate: Option<u64>) -> f64 {
        let mut memory = Memory(vec![1; bytes].into());
        let mut paced = Paced::new(&mut memory, rate);
        let (began, mut came) = (Instant::now(), 0);
        loop {
            let part = paced.read(4096).await.unwrap();
            if part.is_empty() {
                assert_eq!(came, bytes);
                return began.elapsed().as_secs_f64();
            }
            came += part.len();
        }
    }

    #[tokio::test]
    async fn bytes_take_the_time_that_the_rate_says() {
        // The end is read when the last piece has had its time.
        for (bytes, rate, least) in [(300, 1000, 0.3), (40, 100, 0.4), (300_000, 1_000_000, 0.3)] {
            let took = seconds(bytes, Some(rate)).await;
            assert!(took >= least, "{bytes} bytes at {rate} took {took} s");
        }
    }

    #[tokio::test]
    async fn without_a_rate_pieces_are_as_large_as_the_device_takes_them() {
        for rate in [None, Some(0)] {
            let mut memory = Memory(vec![1; 5000].into());
            let first = Paced::new(&mut memory, rate).read(4096).await.unwrap();
            assert_eq!(first.len(), 4096);
        }
        let mut memory = Memory(vec![1; 5000].into());
        let first = Paced::new(&mut memory, Some(9600)).read(4096).await.unwrap();
        assert_eq!(first.len(), 960);
    }
}
