//! A broker of a few lines: accepts app WebSockets and lets the test play the other side.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{SinkExt as _, StreamExt as _};
use inkwire_client::protocol::app::{RpcRequest, method};
use inkwire_client::protocol::message::APP_SUBPROTOCOL;
use inkwire_client::protocol::packet::Header;
use inkwire_client::{BrokerUrl, Client};
use inkwire_transport::certs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

pub(crate) const KEY: &str = "ik_test";

/// Listens; the test accepts connection after connection.
pub(crate) struct Fake {
    listener: TcpListener,
    tls: TlsAcceptor,
    pub(crate) url: BrokerUrl,
}

/// One app's connection.
pub(crate) struct Peer {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

/// What an app said.
pub(crate) enum Said {
    Call { id: Value, method: String, params: Value },
    Packet { header: Header, data: Vec<u8> },
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let ca = certs::make_ca("fake", SystemTime::now()).unwrap();
        let server = certs::issue_server(&["127.0.0.1".to_owned()], &ca, SystemTime::now()).unwrap();
        let chain = certs::chain_from_pem(&server.certificate_pem).unwrap();
        let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(inkwire_transport::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = BrokerUrl::new("127.0.0.1", port, Some(ca.pin().unwrap())).unwrap();
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)), url }
    }

    /// Connects a client while this side accepts it.
    pub(crate) async fn connected(&self) -> (Client, Peer) {
        let (client, peer) = tokio::join!(Client::connect(self.url.clone(), KEY), self.accept());
        (client.unwrap(), peer)
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer { socket: self.upgrade().await.unwrap() }
    }

    /// Accepts a connection; a wrong key is answered 401.
    #[allow(clippy::result_large_err, reason = "the library's callback wants it so")]
    pub(crate) async fn upgrade(&self) -> Option<WebSocketStream<TlsStream<TcpStream>>> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let tls = self.tls.accept(tcp).await.unwrap();
        let check = |request: &Request, mut response: Response| {
            let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            if bearer != Some(&format!("Bearer {KEY}")) {
                let mut refused = ErrorResponse::new(None);
                *refused.status_mut() = http::StatusCode::UNAUTHORIZED;
                return Err(refused);
            }
            response.headers_mut().insert("sec-websocket-protocol", APP_SUBPROTOCOL.parse().unwrap());
            Ok(response)
        };
        tokio_tungstenite::accept_hdr_async(tls, check).await.ok()
    }
}

impl Peer {
    /// The next thing that the app says; Pings are answered on the way. None at the end.
    pub(crate) async fn hear(&mut self) -> Option<Said> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => {
                    let request: RpcRequest = serde_json::from_str(text.as_str()).unwrap();
                    let (id, params) = (request.id.unwrap(), request.params.unwrap_or_default());
                    return Some(Said::Call { id, method: request.method, params });
                }
                Message::Binary(bytes) => {
                    let (header, data) = Header::decode(&bytes).unwrap();
                    return Some(Said::Packet { header, data: data.to_vec() });
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next call, which must be of this method.
    pub(crate) async fn call(&mut self, wanted: &str) -> (Value, Value) {
        match self.hear().await.unwrap() {
            Said::Call { id, method, params } => {
                assert_eq!(method, wanted);
                (id, params)
            }
            Said::Packet { header, .. } => panic!("expected `{wanted}`, got packet {}", header.seq),
        }
    }

    pub(crate) async fn answer(&mut self, id: &Value, result: Value) {
        self.say(json!({ "jsonrpc": "2.0", "id": id, "result": result })).await;
    }

    pub(crate) async fn refuse(&mut self, id: &Value, problem: Value) {
        let code = -32000 - problem["status"].as_i64().unwrap();
        let error = json!({ "code": code, "message": problem["detail"], "data": problem });
        self.say(json!({ "jsonrpc": "2.0", "id": id, "error": error })).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    pub(crate) async fn ack(&mut self, next_seq: u32, credit: u32) {
        self.notify(method::UPLOAD_ACK, json!({ "transfer": 7, "next_seq": next_seq, "credit": credit }))
            .await;
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }
}

pub(crate) fn job(state: &str) -> Value {
    let id = "018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e";
    json!({
        "id": id, "number": 1, "printer": id, "agent": id, "printer_number": 1, "title": "t",
        "format": "application/pdf", "bytes": 1, "sha256": null, "state": state, "reason": null, "witness": null,
        "attempt": 0, "may_print": false, "request": null, "received_bytes": 0, "delivered_bytes": 0, "qty": 1,
        "delivery": "spool", "priority": 50, "options": {}, "on_uncertain": "hold", "created_ms": 1,
        "accepted_ms": null, "ended_ms": null, "expires_ms": 2, "rev": 1,
    })
}
