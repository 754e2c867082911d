//! Server-Sent Events, read as a browser reads them.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::lab::{LONG, Lab};

/// An open stream.
pub(crate) struct Stream {
    body: Incoming,
    buffer: String,
}

/// One block of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) async fn open(lab: &Lab, key: &str, query: &str, last: Option<&str>) -> Self {
        let mut sender = lab.http().await;
        let mut request = Request::builder()
            .uri(format!("/v1/events/stream{query}"))
            .header("host", "broker")
            .header("authorization", format!("Bearer {key}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), buffer: String::new() }
    }

    /// The next block; none at the end.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((text, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (parse(text), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let frame = tokio::time::timeout(LONG, self.body.frame()).await.unwrap()?;
            let Ok(frame) = frame else { return None };
            self.buffer.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Block {
        loop {
            let block = self.block().await.unwrap();
            if block.event.is_some() {
                return block;
            }
        }
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => block.id = Some(id.to_owned()),
            Some(("event", event)) => block.event = Some(event.to_owned()),
            Some(("data", data)) => block.data = serde_json::from_str(data).unwrap(),
            _ => {}
        }
    }
    block
}

async fn account_event(lab: &Lab) {
    lab.admin("agent.revoke", json!({"agent": crate::device::Device::enrolled(lab).await.id})).await;
}

#[tokio::test]
async fn a_stream_goes_on_where_its_reader_was() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    let mut stream = Stream::open(&lab, &key, "", None).await;
    let first = stream.block().await.unwrap();
    assert!(first.id.is_some() && first.event.is_none(), "a place before anything has happened: {first:?}");
    account_event(&lab).await;
    let paired = stream.event().await;
    assert_eq!(
        (paired.event.as_deref(), &paired.data["kind"]),
        (Some("agent.paired"), &json!("agent.paired"))
    );
    let revoked = stream.event().await;
    assert_eq!(revoked.event.as_deref(), Some("agent.revoked"));
    drop(stream);
    account_event(&lab).await;

    let mut again = Stream::open(&lab, &key, "", paired.id.as_deref()).await;
    assert_eq!(again.event().await, revoked, "nothing is missed and nothing comes twice");
    let offsets = [again.event().await, again.event().await].map(|block| block.data["offset"].as_u64());
    assert_eq!(offsets, [Some(3), Some(4)]);
    let query = format!("?after={}&kinds=agent.revoked", first.id.unwrap());
    let mut filtered = Stream::open(&lab, &key, &query, None).await;
    assert_eq!(filtered.event().await, revoked);
}

#[tokio::test]
async fn who_cannot_resume_is_told_so() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    account_event(&lab).await;
    let foreign = "01890a5d-ac96-774b-bcce-b302099a8057:1";
    let mut stream = Stream::open(&lab, &key, "", Some(foreign)).await;
    let told = stream.event().await;
    assert_eq!(told.event.as_deref(), Some("cannot_resume"));
    assert!(told.data["oldest"].as_str().unwrap().ends_with(":1"), "{told:?}");
    assert_eq!(told.id.as_deref(), told.data["from"].as_str());
    account_event(&lab).await;
    assert_eq!(stream.event().await.data["offset"], 3, "it goes on with what comes next");
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_with_the_broker() {
    let lab = Lab::start().await;
    let made = lab.admin("key.create", json!({"name": "till", "scope": "read"})).await;
    let mut stream = Stream::open(&lab, made["key"].as_str().unwrap(), "", None).await;
    let mut other = Stream::open(&lab, &lab.key("read").await, "", None).await;
    stream.block().await.unwrap();
    other.block().await.unwrap();
    lab.admin("key.revoke", json!({"key": made["id"]})).await;
    assert_eq!(stream.block().await, None);
    account_event(&lab).await;
    other.event().await;
    let (_folder, stopped) = lab.stop().await;
    stopped.unwrap();
    while other.block().await.is_some() {}
}

#[tokio::test]
async fn a_stream_needs_a_key_and_a_filter_that_can_be_read() {
    let lab = Lab::start().await;
    let answer = lab.rest(http::Method::GET, "/v1/events/stream", None, Value::Null).await;
    assert_eq!(answer.status, 401);
    let key = lab.key("read").await;
    for query in ["after=1", "colour=red", "progress=true"] {
        let answer = lab.get(&format!("/v1/events/stream?{query}"), &key).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
}
