//! A connection to an address that was judged.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{Outbound, OutboundError, Target};
use crate::limits::{MAX_HTTP_HEADER_BYTES, OUTBOUND_ADDRESSES, OUTBOUND_CONNECT_WITHIN};

/// One HTTP/1.1 connection. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Wire {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    origin: String,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Outbound {
    /// Connects: resolves once, judges every address, and dials those very addresses.
    pub(crate) async fn connect(&self, target: &Target) -> Result<Wire, OutboundError> {
        within(target, OUTBOUND_CONNECT_WITHIN, self.dial(target)).await
    }

    async fn dial(&self, target: &Target) -> Result<Wire, OutboundError> {
        let origin = target.origin();
        let stream = tcp(&origin, &self.addresses(target).await?).await?;
        if !target.is_tls() {
            return shake_hands(origin, stream).await;
        }
        let tls = |source| OutboundError::Tls { origin: origin.clone(), source };
        let name = ServerName::try_from(target.host()).map_err(|error| tls(io::Error::other(error)))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls()?));
        let stream = connector.connect(name, stream).await.map_err(|source| {
            // A line that was cut may hold another time; a certificate that is not good stays so.
            if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) {
                return OutboundError::Connect { origin: origin.clone(), source };
            }
            tls(source)
        })?;
        shake_hands(origin, stream).await
    }

    /// The addresses of a target, all of which may be reached: one that may not spoils all of them.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, OutboundError> {
        let (host, port) = (target.host(), target.port());
        if let Ok(address) = host.parse() {
            self.judge(&host, address)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let failed = |source| OutboundError::Resolve { host: host.clone(), source };
        let mut found = self.resolver.resolve(&host, port).await.map_err(failed)?;
        if found.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
        }
        found.iter().try_for_each(|address| self.judge(&host, address.ip()))?;
        found.truncate(OUTBOUND_ADDRESSES);
        Ok(found)
    }
}

async fn tcp(origin: &str, addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
    let share = OUTBOUND_CONNECT_WITHIN / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(OutboundError::Connect { origin: origin.to_owned(), source: last })
}

async fn shake_hands<S>(origin: String, stream: S) -> Result<Wire, OutboundError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let built =
        http1::Builder::new().max_buf_size(MAX_HTTP_HEADER_BYTES).handshake(TokioIo::new(stream)).await;
    let (sender, connection) =
        built.map_err(|source| OutboundError::Http { origin: origin.clone(), source })?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an outbound connection ended");
        }
    });
    Ok(Wire { sender, driver, origin })
}

impl Wire {
    /// Whether another request to this target may go here.
    pub(crate) fn serves(&self, target: &Target) -> bool {
        !self.sender.is_closed() && self.origin == target.origin()
    }

    /// Sends a request for the target and gives the answer's head; the body is still to be read.
    pub(crate) async fn send(
        &mut self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, OutboundError> {
        let broken = |source| OutboundError::Http { origin: self.origin.clone(), source };
        let wrong =
            |error: &dyn std::fmt::Display| OutboundError::Url(format!("{}: {error}", target.origin()));
        *request.uri_mut() = target.path().parse().map_err(|error| wrong(&error))?;
        let host = HeaderValue::from_str(&target.authority()).map_err(|error| wrong(&error))?;
        request.headers_mut().insert(HOST, host);
        self.sender.ready().await.map_err(broken)?;
        self.sender
            .send_request(request)
            .await
            .map_err(|source| OutboundError::Http { origin: self.origin.clone(), source })
    }
}

/// Gives `work` so much time.
pub(super) async fn within<T>(
    target: &Target,
    time: Duration,
    work: impl Future<Output = Result<T, OutboundError>>,
) -> Result<T, OutboundError> {
    let timed_out = || OutboundError::TimedOut { origin: target.origin(), seconds: time.as_secs() };
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(timed_out()))
}
