//! The subscription of an event stream's link: where it stands, and how it goes on after a reconnect.

use std::collections::VecDeque;

use inkwire_protocol::app::{EventPosition, Events, JobProgress, Subscribe, Subscribed};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::events::{Delivery, EventItem};

/// State of one subscription over all its connections.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// What is asked for; `after` moves with what was delivered.
    wanted: Subscribe,
    position: Option<EventPosition>,
    /// Told when the subscription first stands.
    begun: Option<oneshot::Sender<Result<EventPosition, Error>>>,
    /// What the consumer has not taken; while there is any, the socket is not read.
    backlog: VecDeque<Delivery>,
    consumer: mpsc::Sender<Delivery>,
}

impl Subscription {
    pub(crate) fn new(
        wanted: Subscribe,
        consumer: mpsc::Sender<Delivery>,
    ) -> (Self, oneshot::Receiver<Result<EventPosition, Error>>) {
        let (begun, first) = oneshot::channel();
        let position = wanted.after;
        (Self { wanted, position, begun: Some(begun), backlog: VecDeque::new(), consumer }, first)
    }

    /// What to ask the broker on a new connection.
    pub(crate) fn request(&self) -> Subscribe {
        Subscribe { after: self.position, ..self.wanted.clone() }
    }

    /// The broker's answer. Where it cannot resume, the consumer is told.
    pub(crate) fn on_subscribed(&mut self, answer: Subscribed) {
        let missed = self.position.is_some() && !answer.resumed;
        if missed || self.position.is_none() {
            self.position = Some(answer.from);
        }
        if missed {
            let item = EventItem::CannotResume { from: answer.from, oldest: answer.oldest };
            self.backlog.push_back(Delivery { item: Some(item), position: answer.from });
        }
        self.begin(Ok(self.position.unwrap_or(answer.from)));
    }

    /// A run of the log. What was delivered already is not delivered again.
    pub(crate) fn on_events(&mut self, events: Events) {
        let seen = self.position.filter(|position| position.epoch == events.epoch);
        let through = EventPosition { epoch: events.epoch, offset: events.through };
        for event in events.events {
            if seen.is_some_and(|seen| event.offset <= seen.offset) {
                continue;
            }
            let position = EventPosition { epoch: events.epoch, offset: event.offset };
            self.backlog.push_back(Delivery { item: Some(EventItem::Event(event)), position });
        }
        if seen.is_none_or(|seen| seen.offset < through.offset) {
            self.backlog.push_back(Delivery { item: None, position: through });
            self.position = Some(through);
        }
    }

    /// Progress is news only: it is dropped when the consumer is behind.
    pub(crate) fn on_progress(&mut self, progress: JobProgress) {
        if let (Some(position), true) = (self.position, self.backlog.is_empty()) {
            self.backlog.push_back(Delivery { item: Some(EventItem::Progress(progress)), position });
        }
    }

    /// Nothing will follow.
    pub(crate) fn on_end(&mut self, error: &Error) {
        self.begin(Err(error.clone()));
        if let Some(position) = self.position {
            let item = Some(EventItem::Ended(error.clone()));
            self.backlog.push_back(Delivery { item, position });
        }
    }

    fn begin(&mut self, result: Result<EventPosition, Error>) {
        if let Some(begun) = self.begun.take()
            && begun.send(result).is_err()
        {
            tracing::debug!("nobody waits for the subscription any more");
        }
    }

    /// Whether something waits for the consumer.
    pub(crate) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Hands one delivery over when the consumer has a place; false when it is gone. Cancel safe.
    pub(crate) async fn deliver(&mut self) -> bool {
        let Ok(place) = self.consumer.reserve().await else { return false };
        if let Some(delivery) = self.backlog.pop_front() {
            place.send(delivery);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::app::Event;
    use inkwire_protocol::ids::{EventOffset, StoreEpoch};
    use uuid::Uuid;

    fn event(offset: u64) -> Event {
        Event {
            offset: EventOffset(offset),
            at_ms: 0,
            kind: "job.accepted".into(),
            job: None,
            agent: None,
            printer: None,
            data: serde_json::Value::Null,
        }
    }

    fn at(epoch: StoreEpoch, offset: u64) -> EventPosition {
        EventPosition { epoch, offset: EventOffset(offset) }
    }

    #[tokio::test]
    async fn it_goes_on_where_it_stood_and_says_when_it_cannot() {
        let (sender, mut consumer) = mpsc::channel(16);
        let (mut subscription, first) = Subscription::new(Subscribe::default(), sender);
        let epoch = StoreEpoch::from_uuid(Uuid::from_u128(1));
        assert_eq!(subscription.request().after, None);
        let answer = Subscribed { from: at(epoch, 5), resumed: true, oldest: EventOffset(1) };
        subscription.on_subscribed(answer);
        assert_eq!(first.await.unwrap().unwrap(), at(epoch, 5));
        let run = Events { epoch, events: vec![event(6), event(7)], through: EventOffset(9) };
        subscription.on_events(run.clone());
        subscription.on_events(run);
        assert_eq!(subscription.request().after, Some(at(epoch, 9)));
        let mut got = Vec::new();
        while subscription.is_behind() {
            assert!(subscription.deliver().await);
            got.push(consumer.try_recv().unwrap());
        }
        let offsets: Vec<_> = got.iter().map(|delivery| delivery.position.offset.0).collect();
        assert_eq!(offsets, [6, 7, 9], "a repeated run is delivered once");

        let restored = StoreEpoch::from_uuid(Uuid::from_u128(2));
        let answer = Subscribed { from: at(restored, 3), resumed: false, oldest: EventOffset(2) };
        subscription.on_subscribed(answer);
        assert!(subscription.deliver().await);
        let item = consumer.try_recv().unwrap().item;
        let Some(EventItem::CannotResume { from, oldest }) = item else { panic!("{item:?}") };
        assert_eq!((from, oldest), (at(restored, 3), EventOffset(2)));
        assert_eq!(subscription.request().after, Some(at(restored, 3)));
    }
}
