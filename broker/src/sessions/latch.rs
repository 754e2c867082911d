//! Something that happens once and stays so, for whoever waits now or comes later. Smaller than a cancellation token, of which an idle
//! session would need two.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Open at first; once closed, closed for ever.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    closed: AtomicBool,
    news: Notify,
}

impl Latch {
    /// Closes it; again is fine.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_waiters();
    }

    /// Whether it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until it is closed. Cancel safe.
    pub(crate) async fn closed(&self) {
        let news = self.news.notified();
        tokio::pin!(news);
        // Waits from here on, so that a closing after the look is not missed.
        news.as_mut().enable();
        if !self.is_closed() {
            news.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn it_is_seen_by_those_who_wait_and_those_who_come_later() {
        let latch = Arc::new(Latch::default());
        let early = latch.clone();
        let waiting = tokio::spawn(async move { early.closed().await });
        tokio::task::yield_now().await;
        assert!(!latch.is_closed());
        latch.close();
        latch.close();
        waiting.await.unwrap();
        latch.closed().await;
    }
}
