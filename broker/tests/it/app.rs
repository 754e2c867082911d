//! An app that the tests drive by hand.

use std::collections::VecDeque;

use http::{HeaderMap, HeaderValue};
use inkwire_protocol::app::RpcResponse;
use inkwire_protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_transport::{Closed, DialIo, Ready, Socket};
use serde_json::{Value, json};

use crate::lab::{LONG, Lab};

/// A WebSocket of JSON-RPC.
pub(crate) struct App {
    pub(crate) socket: Socket<DialIo>,
    next: u64,
    /// Notifications that came while something else was waited for.
    notes: VecDeque<Value>,
}

impl App {
    /// Signs in by the upgrade's header.
    pub(crate) async fn connect(lab: &Lab, key: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
        Self::over(lab.dial(APP_PATH, APP_SUBPROTOCOL, headers).await.unwrap().socket)
    }

    /// Signs in later, or not at all.
    pub(crate) async fn anonymous(lab: &Lab) -> Self {
        Self::over(lab.dial(APP_PATH, APP_SUBPROTOCOL, HeaderMap::new()).await.unwrap().socket)
    }

    pub(crate) fn over(socket: Socket<DialIo>) -> Self {
        Self { socket, next: 0, notes: VecDeque::new() }
    }

    /// Sends text as it is.
    pub(crate) fn raw(&mut self, text: &str) {
        self.socket.queue_text(text.to_owned()).unwrap();
    }

    /// All notifications that were not taken yet.
    pub(crate) fn heard(&self) -> String {
        format!("{:?}", self.notes)
    }

    /// Calls a method: its result, or its problem.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.next += 1;
        let id = self.next;
        self.raw(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        loop {
            let message = self.message().await.unwrap();
            if message.get("method").is_some() {
                self.notes.push_back(message);
                continue;
            }
            let response: RpcResponse = serde_json::from_value(message).unwrap();
            assert_eq!(response.id, json!(id));
            return match response.error {
                Some(error) => Err(serde_json::to_value(error.data).unwrap()),
                None => Ok(response.result.unwrap()),
            };
        }
    }

    /// The next notification's parameters.
    pub(crate) async fn note(&mut self, method: &str) -> Value {
        if let Some(at) = self.notes.iter().position(|note| note["method"] == method) {
            return self.notes.remove(at).unwrap()["params"].clone();
        }
        loop {
            let message = self.message().await.unwrap();
            if message["method"] == method {
                return message["params"].clone();
            }
            self.notes.push_back(message);
        }
    }

    /// The next message, or the end.
    pub(crate) async fn message(&mut self) -> Result<Value, Closed> {
        loop {
            match tokio::time::timeout(LONG, self.socket.ready(false)).await.unwrap() {
                Ready::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
                Ready::Closed(closed) => return Err(closed),
                _ => {}
            }
        }
    }

    /// The end, whatever comes before it.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.message().await {
                return closed;
            }
        }
    }
}
