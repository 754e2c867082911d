//! A server that webhooks are sent to, and that documents are fetched from.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::watch;

use crate::lab::LONG;

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }
}

/// What is answered next.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Status(u16),
    Body(&'static [u8]),
    /// A body whose size is not said, in two parts.
    Parts(Vec<u8>),
    /// Nothing, until it is hung up.
    Nothing,
}

/// A server on a port of its own. Without a script it answers 204.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    received: Arc<watch::Sender<Vec<Received>>>,
    script: Arc<Mutex<VecDeque<Say>>>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hook =
            Self { address, received: Arc::new(watch::Sender::new(Vec::new())), script: Arc::default() };
        let serving = hook.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hook = serving.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| hook.clone().answer(request));
                    let serving = hyper::server::conn::http1::Builder::new();
                    drop(serving.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        hook
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is answered to the next requests.
    pub(crate) fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.script.lock().unwrap().extend(says);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Received> {
        self.wait_for(|received| received.len() >= count).await
    }

    pub(crate) async fn wait_for(&self, enough: impl FnMut(&Vec<Received>) -> bool) -> Vec<Received> {
        let mut news = self.received.subscribe();
        tokio::time::timeout(LONG, news.wait_for(enough)).await.unwrap().unwrap().clone()
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<axum::body::Body>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let received = Received { path: head.uri.to_string(), headers: head.headers, body };
        let say = self.script.lock().unwrap().pop_front().unwrap_or(Say::Status(204));
        self.received.send_modify(|all| all.push(received));
        let body = match &say {
            Say::Body(bytes) => axum::body::Body::new(Full::new(Bytes::from_static(bytes))),
            Say::Parts(bytes) => {
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                let parts = [first.to_vec(), rest.to_vec()].map(Ok::<_, Infallible>);
                axum::body::Body::from_stream(futures_util::stream::iter(parts))
            }
            Say::Status(status) => axum::body::Body::from(format!("said {status}")),
            Say::Nothing => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                axum::body::Body::empty()
            }
        };
        let mut response = Response::new(body);
        if let Say::Status(status) = say {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
        }
        Ok(response)
    }
}
