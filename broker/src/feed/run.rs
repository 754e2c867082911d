//! A run of the log, encoded once.

use std::fmt::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use inkwire_protocol::app::{Event, method};
use inkwire_protocol::ids::{EventOffset, StoreEpoch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// An event and its JSON.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) event: Event,
    pub(crate) json: String,
}

/// Events without a gap, in order. Never empty.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) epoch: StoreEpoch,
    pub(super) lines: Vec<Line>,
    pub(super) first: EventOffset,
    pub(super) through: EventOffset,
    /// What those get who want all of it: made when the first one asks.
    message: OnceLock<Utf8Bytes>,
    stream: OnceLock<Bytes>,
}

impl Run {
    /// None where there is nothing.
    pub(super) fn of(epoch: StoreEpoch, events: Vec<Event>) -> Option<Self> {
        let (first, through) = (events.first()?.offset, events.last()?.offset);
        let lines = events.into_iter().map(|event| Line { json: json(&event), event }).collect();
        let (message, stream) = (OnceLock::new(), OnceLock::new());
        Some(Self { epoch, lines, first, through, message, stream })
    }

    /// Roughly what it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        // The event itself, its JSON, and that twice again as message and stream.
        self.lines.iter().map(|line| 256 + 4 * line.json.len()).sum()
    }

    pub(super) fn message(&self) -> Utf8Bytes {
        let make = || notification(self.epoch, self.lines.iter(), self.through).into();
        self.message.get_or_init(make).clone()
    }

    pub(super) fn stream(&self) -> Bytes {
        self.stream.get_or_init(|| stream(self.epoch, self.lines.iter()).into()).clone()
    }
}

fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_else(|error| {
        tracing::error!(%error, offset = event.offset.0, "an event could not be written");
        "null".to_owned()
    })
}

/// The notification `events` of the WebSocket: [`inkwire_protocol::app::Events`] put together from events that are written already.
pub(super) fn notification<'a>(
    epoch: StoreEpoch,
    lines: impl Iterator<Item = &'a Line>,
    through: EventOffset,
) -> String {
    let mut text =
        format!(r#"{{"jsonrpc":"2.0","method":"{}","params":{{"epoch":"{epoch}","events":["#, method::EVENTS);
    for (index, line) in lines.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&line.json);
    }
    text.push_str(r#"],"through":"#);
    text.push_str(&through.to_string());
    text.push_str("}}");
    text
}

/// The same as Server-Sent Events (WHATWG HTML, section 9.2): JSON has no line breaks of its own.
pub(super) fn stream<'a>(epoch: StoreEpoch, lines: impl Iterator<Item = &'a Line>) -> String {
    let mut text = String::new();
    for Line { event, json } in lines {
        let written = write!(text, "id: {epoch}:{}\nevent: {}\ndata: {json}\n\n", event.offset, event.kind);
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::app::{Events, RpcRequest};
    use serde_json::json;
    use uuid::Uuid;

    fn event(offset: u64, kind: &str) -> Event {
        Event {
            offset: EventOffset(offset),
            at_ms: 5,
            kind: kind.into(),
            job: None,
            agent: None,
            printer: None,
            data: json!({"detail": "two\nlines \" and \u{1F5A8}"}),
        }
    }

    #[test]
    fn what_is_put_together_is_what_the_types_say() {
        let epoch = StoreEpoch::from_uuid(Uuid::from_u128(9));
        let events = vec![event(3, "job.accepted"), event(4, "agent.online")];
        let run = Run::of(epoch, events.clone()).unwrap();
        let request: RpcRequest = serde_json::from_str(&run.message()).unwrap();
        assert_eq!((request.method.as_str(), request.id), ("events", None));
        let sent: Events = serde_json::from_value(request.params.unwrap()).unwrap();
        assert_eq!(sent, Events { epoch, events, through: EventOffset(4) });
        assert!(Run::of(epoch, Vec::new()).is_none());
    }

    #[test]
    fn a_stream_has_one_line_for_each_field() {
        let epoch = StoreEpoch::from_uuid(Uuid::from_u128(9));
        let run = Run::of(epoch, vec![event(3, "job.accepted"), event(4, "agent.online")]).unwrap();
        let text = String::from_utf8(run.stream().to_vec()).unwrap();
        let blocks: Vec<&str> = text.strip_suffix("\n\n").unwrap().split("\n\n").collect();
        assert_eq!(blocks.len(), 2);
        let lines: Vec<&str> = blocks[1].lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], format!("id: {epoch}:4"));
        assert_eq!(lines[1], "event: agent.online");
        let data: Event = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data, event(4, "agent.online"));
    }
}
