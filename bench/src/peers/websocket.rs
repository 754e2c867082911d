//! A TLS WebSocket to a peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// A connection stands by then.
const STANDS_WITHIN: Duration = Duration::from_secs(60);
/// The generator has thousands of them.
const BUFFER_BYTES: usize = 2048;

/// Binary messages over TLS.
#[derive(Debug)]
pub(crate) struct WebSocket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
}

impl WebSocket {
    /// Connects from this address.
    pub(crate) async fn dial(
        address: SocketAddr,
        source: IpAddr,
        tls: &Arc<ClientConfig>,
        subprotocol: Option<&'static str>,
    ) -> Result<Self> {
        timeout(STANDS_WITHIN, Self::connect(address, source, tls, subprotocol))
            .await
            .context("no connection in time")?
    }

    async fn connect(
        address: SocketAddr,
        source: IpAddr,
        tls: &Arc<ClientConfig>,
        subprotocol: Option<&'static str>,
    ) -> Result<Self> {
        let socket = TcpSocket::new_v4().context("a socket")?;
        socket.bind(SocketAddr::new(source, 0)).context("the source address")?;
        let stream = socket.connect(address).await.context("the server takes no connection")?;
        stream.set_nodelay(true).context("a socket takes the option")?;
        let name = ServerName::try_from("localhost").context("a name")?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.context("TLS")?;
        let mut request =
            format!("wss://localhost:{}/", address.port()).into_client_request().context("a request")?;
        if let Some(subprotocol) = subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
        let (stream, _) =
            client_async_with_config(request, stream, Some(config)).await.context("the upgrade")?;
        Ok(Self { stream })
    }

    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        timeout(STANDS_WITHIN, self.stream.send(Message::Binary(bytes.into())))
            .await
            .context("the server reads nothing")?
            .context("the server has gone")
    }

    /// The next message; its end is an error.
    pub(crate) async fn next(&mut self) -> Result<Bytes> {
        loop {
            match self.stream.next().await.context("the server closed")?.context("the connection broke")? {
                Message::Binary(bytes) => return Ok(bytes),
                Message::Text(text) => return Ok(text.into()),
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Skips messages until one has these bytes in it.
    pub(crate) async fn until(&mut self, bytes: &[u8]) -> Result<()> {
        let come = async {
            while !self.next().await?.windows(bytes.len()).any(|window| window == bytes) {}
            anyhow::Ok(())
        };
        timeout(STANDS_WITHIN, come).await.context("the server does not answer")?
    }
}
