use inkwire_client::EventItem;
use inkwire_client::protocol::app::{EventPosition, Subscribe, method};
use inkwire_client::protocol::ids::EventOffset;
use serde_json::{Value, json};

use crate::fake::{Fake, Peer};

const EPOCH: &str = "018f7d2e-0000-7000-8000-000000000001";
const RESTORED: &str = "018f7d2e-0000-7000-8000-000000000002";

fn event(offset: u64) -> Value {
    json!({ "offset": offset, "at_ms": 1, "kind": "job.accepted" })
}

async fn subscribed(peer: &mut Peer, epoch: &str, offset: u64, resumed: bool) -> Value {
    let (id, params) = peer.call(method::EVENTS_SUBSCRIBE).await;
    let from = json!({ "epoch": epoch, "offset": offset });
    peer.answer(&id, json!({ "from": from, "resumed": resumed, "oldest": 2 })).await;
    params
}

fn offset(item: Option<EventItem>) -> EventOffset {
    match item {
        Some(EventItem::Event(event)) => event.offset,
        other => panic!("expected an event, got {other:?}"),
    }
}

#[tokio::test]
async fn a_stream_goes_on_at_its_offset_and_says_when_it_cannot() {
    let fake = Fake::start().await;
    let (client, _calls) = fake.connected().await;
    let broker = async {
        let mut peer = fake.accept().await;
        let params = subscribed(&mut peer, EPOCH, 5, true).await;
        assert_eq!(params.get("after"), None);
        peer
    };
    let (events, mut peer) = tokio::join!(client.events(Subscribe::default()), broker);
    let mut events = events.unwrap();
    assert_eq!(events.position().offset, EventOffset(5));
    peer.notify(method::EVENTS, json!({ "epoch": EPOCH, "events": [event(6), event(8)], "through": 9 }))
        .await;
    assert_eq!(offset(events.next().await), EventOffset(6));
    assert_eq!(offset(events.next().await), EventOffset(8));
    drop(peer);

    let mut peer = fake.accept().await;
    let params = subscribed(&mut peer, EPOCH, 9, true).await;
    assert_eq!(params["after"], json!({ "epoch": EPOCH, "offset": 9 }));
    peer.notify(method::EVENTS, json!({ "epoch": EPOCH, "events": [event(10)], "through": 10 })).await;
    assert_eq!(offset(events.next().await), EventOffset(10));
    drop(peer);

    let mut peer = fake.accept().await;
    subscribed(&mut peer, RESTORED, 3, false).await;
    let from = EventPosition { epoch: RESTORED.parse().unwrap(), offset: EventOffset(3) };
    match events.next().await {
        Some(EventItem::CannotResume { from: at, oldest }) => {
            assert_eq!((at, oldest), (from, EventOffset(2)))
        }
        other => panic!("{other:?}"),
    }
    peer.notify(method::EVENTS, json!({ "epoch": RESTORED, "events": [event(4)], "through": 4 })).await;
    assert_eq!(offset(events.next().await), EventOffset(4));
    assert_eq!(events.position(), EventPosition { epoch: from.epoch, offset: EventOffset(4) });
}
