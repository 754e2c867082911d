//! A write that does not move. The timer exists only while something is blocked.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

#[derive(Debug)]
pub(super) struct Stall {
    within: Duration,
    timer: Pin<Box<Sleep>>,
    /// The count at the last look.
    written: u64,
}

impl Stall {
    pub(super) fn new(within: Duration, written: u64) -> Self {
        Self { within, timer: Box::pin(tokio::time::sleep(within)), written }
    }

    /// Ready when nothing was written for the whole time. Progress is looked at only when the timer fires: a peer that
    /// takes little but steadily is never cut, one that takes nothing is cut after at most twice the time.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>, written: u64) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.written == written {
                return Poll::Ready(());
            }
            self.written = written;
            self.timer.as_mut().reset(Instant::now() + self.within);
        }
    }
}
