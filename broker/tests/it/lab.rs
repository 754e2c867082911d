//! A broker in a folder of its own, and what talks to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use inkwire_broker::{Broker, Config, OneOrMany, RawConfig, RunError};
use inkwire_transport::{
    BrokerUrl, ClockOffset, Dial, DialError, Dialled, SocketConfig, Trust, client_config, dial,
};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// Longer than anything here may take.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) struct Lab {
    broker: Broker,
    pub(crate) url: BrokerUrl,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) folder: Arc<TempDir>,
    tls: Arc<ClientConfig>,
    clock: Arc<ClockOffset>,
}

/// An answer to a REST request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut RawConfig)) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    pub(crate) async fn start_in(folder: Arc<TempDir>, change: impl FnOnce(&mut RawConfig)) -> Self {
        let mut raw = RawConfig {
            data_dir: Some(folder.path().join("data")),
            listen: Some(OneOrMany::One("127.0.0.1:0".into())),
            ..RawConfig::default()
        };
        change(&mut raw);
        let shutdown = CancellationToken::new();
        let config = Config::try_from(raw).unwrap();
        let broker = Broker::start(config, shutdown.clone()).await.unwrap();
        let (url, address) = (broker.url().clone(), broker.address());
        let clock = Arc::new(ClockOffset::new());
        let tls = client_config(Trust::of(&url), clock.clone()).unwrap();
        Self { broker, url, address, shutdown, folder, tls, clock }
    }

    /// Drains it, and gives the folder for another start.
    pub(crate) async fn stop(self) -> (Arc<TempDir>, Result<(), RunError>) {
        self.shutdown.cancel();
        (self.folder, tokio::time::timeout(LONG, self.broker.stopped()).await.unwrap())
    }

    pub(crate) fn sign_in(&self) -> Option<&str> {
        self.broker.sign_in()
    }

    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.broker.metrics()
    }

    pub(crate) fn console(&self) -> Option<SocketAddr> {
        self.broker.console()
    }

    pub(crate) fn admin_socket(&self) -> &Path {
        self.broker.admin_socket()
    }

    /// Calls an admin method.
    pub(crate) async fn try_admin(&self, method: &str, params: Value) -> Result<Value, Value> {
        let mut stream = UnixStream::connect(self.admin_socket()).await.unwrap();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        stream.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get("error") {
            Some(error) => Err(error["data"].clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    pub(crate) async fn admin(&self, method: &str, params: Value) -> Value {
        self.try_admin(method, params).await.unwrap()
    }

    /// A new API key of the account `default`.
    pub(crate) async fn key(&self, scope: &str) -> String {
        let made = self.admin("key.create", json!({"name": scope, "scope": scope})).await;
        made["key"].as_str().unwrap().to_owned()
    }

    /// Opens a WebSocket.
    pub(crate) async fn dial(
        &self,
        path: &str,
        subprotocol: &str,
        headers: HeaderMap,
    ) -> Result<Dialled, DialError> {
        self.dial_at(&self.url, path, subprotocol, headers).await
    }

    pub(crate) async fn dial_at(
        &self,
        url: &BrokerUrl,
        path: &str,
        subprotocol: &str,
        headers: HeaderMap,
    ) -> Result<Dialled, DialError> {
        dial(Dial {
            url,
            tls: self.tls.clone(),
            clock: &self.clock,
            path,
            subprotocol,
            headers,
            bind: None,
            deadline: LONG,
            // As large as it gets: what is too large is for the broker to say.
            socket: SocketConfig {
                max_queued_bytes: 16 * 1024 * 1024,
                max_text_bytes: 16 * 1024 * 1024,
                ..SocketConfig::APP
            },
        })
        .await
    }

    /// A TLS connection.
    pub(crate) async fn tls(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let tcp = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(self.tls.clone()).connect(name, tcp).await.unwrap()
    }

    /// A connection for requests with any body.
    pub(crate) async fn http<B>(&self) -> hyper::client::conn::http1::SendRequest<B>
    where
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.tls().await);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Makes a REST request.
    pub(crate) async fn rest(&self, method: Method, path: &str, key: Option<&str>, body: Value) -> Answer {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.ask(method, path, &headers, body).await
    }

    /// The same with any headers.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut sender = self.http().await;
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder().method(method).uri(path).header("host", self.url.authority());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.rest(Method::GET, path, Some(key), Value::Null).await
    }
}
