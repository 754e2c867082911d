//! One follower's place in a log.

use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::app::EventPosition;
use inkwire_protocol::ids::EventOffset;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::account::Feed;
use super::filter::Filter;
use super::ring::Found;
use super::run::{self, Line, Run};
use crate::store::ReadError;

/// A follower. What it has not read costs nothing but its place.
#[derive(Debug)]
pub(crate) struct Reader {
    feed: Arc<Feed>,
    news: watch::Receiver<Option<EventOffset>>,
    at: EventPosition,
    /// None lets everything through.
    filter: Option<Arc<Filter>>,
}

/// What came next in the log.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    run: Arc<Run>,
    /// Everything up to here was seen before.
    after: EventOffset,
    filter: Option<Arc<Filter>>,
}

impl Reader {
    pub(super) fn new(feed: Arc<Feed>, at: EventPosition, filter: Filter) -> Self {
        let news = feed.news();
        let filter = (!filter.is_open()).then(|| Arc::new(filter));
        Self { feed, news, at, filter }
    }

    /// The last event that was read, or hidden by the filter.
    pub(crate) fn at(&self) -> EventPosition {
        self.at
    }

    /// The next piece; waits for one. Dropped while it waits, it has read nothing.
    pub(crate) async fn next(&mut self) -> Result<Piece, ReadError> {
        loop {
            let newest = *self.news.borrow_and_update();
            let run = match self.feed.after(self.at.offset) {
                Found::Here(run) => Some(run),
                Found::Behind => self.feed.read(self.at.offset).await?,
                // Before its first run the ring does not know what the log holds.
                Found::Nothing if newest.is_none_or(|newest| newest > self.at.offset) => {
                    self.feed.read(self.at.offset).await?
                }
                Found::Nothing => None,
            };
            if let Some(run) = run {
                let after = self.at.offset;
                self.at = EventPosition { epoch: run.epoch, offset: run.through };
                return Ok(Piece { run, after, filter: self.filter.clone() });
            }
            if self.news.changed().await.is_err() {
                // Only while the broker stops.
                return std::future::pending().await;
            }
        }
    }
}

impl Piece {
    /// Everything up to here was read, or hidden.
    pub(crate) fn through(&self) -> EventPosition {
        EventPosition { epoch: self.run.epoch, offset: self.run.through }
    }

    /// Whether the filter hid all of it.
    pub(crate) fn is_hidden(&self) -> bool {
        self.lines().next().is_none()
    }

    /// The events that passed.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        let passes = |line: &&Line| {
            line.event.offset > self.after
                && self.filter.as_ref().is_none_or(|filter| filter.passes(&line.event))
        };
        self.run.lines.iter().filter(passes)
    }

    fn is_whole(&self) -> bool {
        self.filter.is_none() && self.after.0 < self.run.first.0
    }

    /// As the WebSocket's notification; shared by all who want all of it.
    pub(crate) fn message(&self) -> Utf8Bytes {
        if self.is_whole() {
            return self.run.message();
        }
        run::notification(self.run.epoch, self.lines(), self.run.through).into()
    }

    /// As Server-Sent Events; likewise.
    pub(crate) fn stream(&self) -> Bytes {
        if self.is_whole() {
            return self.run.stream();
        }
        run::stream(self.run.epoch, self.lines()).into()
    }
}
