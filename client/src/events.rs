//! The account's events as a stream that comes back by itself and misses nothing, or says so.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use inkwire_protocol::app::{Event, EventPosition, JobProgress, Subscribe};
use inkwire_protocol::ids::EventOffset;
use tokio::sync::mpsc;

use crate::client::Options;
use crate::error::Error;
use crate::limits::EVENT_QUEUE;
use crate::link::{Link, Subscription};

/// What a subscription tells.
#[derive(Debug, Clone)]
pub enum EventItem {
    /// Something happened.
    Event(Event),
    /// How far a transfer is; only with `progress`, never repeated.
    Progress(JobProgress),
    /// Events between the last one seen and `from` are not there any more (the broker's log was cut, or its store was
    /// restored): read the state anew; what follows is after `from`.
    CannotResume {
        /// Where the stream goes on.
        from: EventPosition,
        /// The oldest event that is still there.
        oldest: EventOffset,
    },
    /// The subscription ended for good: the key was revoked, for example. Nothing follows.
    Ended(Error),
}

/// One thing on its way to the consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// None only moves the position (the filter hid everything up to it).
    pub(crate) item: Option<EventItem>,
    /// What a later subscription would name as `after`, once this was consumed.
    pub(crate) position: EventPosition,
}

/// Follows the events of an account on a connection of its own.
///
/// After a lost connection it subscribes again from where it stood. A consumer that is slow holds the broker back; it
/// costs no memory and loses nothing.
#[derive(Debug)]
pub struct EventStream {
    deliveries: mpsc::Receiver<Delivery>,
    position: EventPosition,
    /// Dropping it ends the connection.
    _link: Link,
}

impl EventStream {
    pub(crate) async fn open(options: &Options, subscribe: Subscribe) -> Result<Self, Error> {
        let (sender, deliveries) = mpsc::channel(EVENT_QUEUE);
        let (subscription, begun) = Subscription::new(subscribe, sender);
        let link = Link::connect(options, Some(subscription)).await?;
        let position = tokio::time::timeout(options.call_within, begun)
            .await
            .map_err(|_| Error::Timeout {
                method: inkwire_protocol::app::method::EVENTS_SUBSCRIBE,
                within: options.call_within,
            })?
            .map_err(|_| Error::Closed)??;
        Ok(Self { deliveries, position, _link: link })
    }

    /// The next item; none after [`EventItem::Ended`].
    pub async fn next(&mut self) -> Option<EventItem> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Everything up to here was given out: `after` of a later subscription.
    pub fn position(&self) -> EventPosition {
        self.position
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<EventItem>> {
        loop {
            let Some(delivery) = std::task::ready!(self.deliveries.poll_recv(cx)) else {
                return Poll::Ready(None);
            };
            self.position = delivery.position;
            if delivery.item.is_some() {
                return Poll::Ready(delivery.item);
            }
        }
    }
}

impl Stream for EventStream {
    type Item = EventItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<EventItem>> {
        self.poll(cx)
    }
}
