//! A broker's end over real TLS on port 0, with hyper doing the HTTP part as the real one does.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use inkwire_transport::certs::{Issued, issue_server, make_ca};
use inkwire_transport::*;
use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub(crate) type ServerIo = ServerStream<Metered<TcpStream>>;
pub(crate) type ServerSocket = Socket<ServerIo>;
pub(crate) const SUBPROTOCOL: &str = "inkwire.agent.v1";

/// What the server answers instead of upgrading.
pub(crate) type Answer = Arc<dyn Fn(&Request<Incoming>) -> Option<Response<Full<Bytes>>> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) url: BrokerUrl,
    pub(crate) tls: Arc<ServerTls>,
    pub(crate) sockets: mpsc::Receiver<ServerSocket>,
}

pub(crate) fn issued(names: &[&str], made: SystemTime) -> (Issued, Issued) {
    let ca = make_ca("Inkwire test", made).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let server = issue_server(&names, &ca, made).unwrap();
    (ca, server)
}

pub(crate) async fn server() -> Server {
    let (_, server) = issued(&["localhost", "127.0.0.1"], SystemTime::now());
    server_with(ServerTls::from_issued(&server).unwrap(), SocketConfig::AGENT, Arc::new(|_| None)).await
}

pub(crate) async fn server_with(tls: ServerTls, config: SocketConfig, answer: Answer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Arc::new(tls);
    let (sender, sockets) = mpsc::channel(16);
    let current = Arc::clone(&tls);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (current, sender, answer) = (Arc::clone(&current), sender.clone(), Arc::clone(&answer));
            tokio::spawn(serve(tcp, current, sender, answer, config));
        }
    });
    let url = BrokerUrl::new("127.0.0.1", address.port(), Some(tls.pin())).unwrap();
    Server { address, url, tls, sockets }
}

async fn serve(
    tcp: TcpStream,
    tls: Arc<ServerTls>,
    sockets: mpsc::Sender<ServerSocket>,
    answer: Answer,
    config: SocketConfig,
) {
    set_socket_options(&tcp).unwrap();
    let metered = Metered::new(tcp);
    let meter = metered.meter();
    let Ok(stream) = accept_tls(metered, tls.config()).await else { return };
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (sockets, meter, refused) = (sockets.clone(), meter.clone(), answer(&request));
        async move {
            if let Some(refused) = refused {
                return Ok::<_, std::convert::Infallible>(refused);
            }
            let key = request.headers()[SEC_WEBSOCKET_KEY].clone();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let parts = upgrade.await.unwrap().downcast::<TokioIo<ServerIo>>().unwrap();
                let socket = accept(parts.io.into_inner(), parts.read_buf, meter, config).await;
                let _gone_with_the_test = sockets.send(socket).await;
            });
            let accept_key = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let response = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(CONNECTION, "upgrade")
                .header(UPGRADE, "websocket")
                .header(SEC_WEBSOCKET_ACCEPT, accept_key)
                .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
            Ok(response.body(Full::default()).unwrap())
        }
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _closed_by_the_client = serving.with_upgrades().await;
}

pub(crate) fn trusting(url: &BrokerUrl) -> Arc<ClientConfig> {
    client_config(Trust::of(url), Arc::new(ClockOffset::new())).unwrap()
}

pub(crate) fn to<'a>(url: &'a BrokerUrl, tls: &Arc<ClientConfig>, clock: &'a ClockOffset) -> Dial<'a> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer test"));
    Dial {
        url,
        tls: Arc::clone(tls),
        clock,
        path: "/v1/agent",
        subprotocol: SUBPROTOCOL,
        headers,
        bind: None,
        deadline: Duration::from_secs(20),
        socket: SocketConfig::AGENT,
    }
}

/// Both ends of one connection.
pub(crate) async fn pair(server: &mut Server) -> (Socket<DialIo>, ServerSocket) {
    let tls = trusting(&server.url);
    let clock = ClockOffset::new();
    let (dialled, accepted) = tokio::join!(dial(to(&server.url, &tls, &clock)), server.sockets.recv());
    (dialled.unwrap().socket, accepted.unwrap())
}
