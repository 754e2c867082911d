//! One connection to a printer: TCP, TLS over TCP, or the Unix socket of CUPS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::server::CupsServer;
use super::trust::Trust;
use crate::printers::limits::CONNECT_WITHIN;

/// Anything that carries HTTP.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How a printer is reached.
#[derive(Clone)]
pub(super) enum Route {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, config: Arc<rustls::ClientConfig>, trust: Arc<Trust> },
    Cups(CupsServer),
}

/// Why there is no connection. Nothing was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0}")]
    Away(String),
    #[error("{0}")]
    CertificateChanged(String),
    #[error("{0}")]
    Tls(String),
}

/// Connects, within the deadline.
pub(super) async fn connect(route: &Route) -> Result<TokioIo<Box<dyn Stream>>, ConnectError> {
    let within = CONNECT_WITHIN;
    let stream: Box<dyn Stream> = match timeout(within, dial(route)).await {
        Ok(stream) => stream?,
        Err(_) => return Err(ConnectError::Away(format!("no connection within {} s", within.as_secs()))),
    };
    Ok(TokioIo::new(stream))
}

async fn dial(route: &Route) -> Result<Box<dyn Stream>, ConnectError> {
    match route {
        Route::Tcp { host, port } | Route::Cups(CupsServer::Tcp(host, port)) => {
            Ok(Box::new(tcp(host, *port).await?))
        }
        Route::Cups(CupsServer::Unix(path)) => unix(path).await,
        Route::Tls { host, port, config, trust } => tls(host, *port, config, trust).await,
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let away = |error: io::Error| ConnectError::Away(format!("{host}:{port}: {error}"));
    let stream = TcpStream::connect((host, port)).await.map_err(away)?;
    stream.set_nodelay(true).map_err(away)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(20))
        .with_interval(Duration::from_secs(10));
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(away)?;
    // Dropped, the connection is reset: many printers take a mere close in the middle of a document for its end and print
    // the part. It also holds when the process is killed. After an answer there is nothing left to lose.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).map_err(away)?;
    Ok(stream)
}

async fn tls(
    host: &str,
    port: u16,
    config: &Arc<rustls::ClientConfig>,
    trust: &Arc<Trust>,
) -> Result<Box<dyn Stream>, ConnectError> {
    let store =
        |error: io::Error| ConnectError::Tls(format!("the pinned certificates cannot be used: {error}"));
    let loading = Arc::clone(trust);
    blocking(move || loading.load()).await.map_err(store)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        ConnectError::Tls(format!("`{host}` cannot be a name in TLS; use the printer's address"))
    })?;
    let stream = tcp(host, port).await?;
    let secured = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    let secured = secured.map_err(|error| match trust.change() {
        Some(change) => ConnectError::CertificateChanged(change),
        None => ConnectError::Tls(format!("{host}:{port}: no TLS: {error}")),
    })?;
    let shown: Vec<_> = secured.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
    let pinning = Arc::clone(trust);
    blocking(move || pinning.pin(&shown)).await.map_err(store)?;
    Ok(Box::new(secured))
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> Result<Box<dyn Stream>, ConnectError> {
    let stream = tokio::net::UnixStream::connect(path).await;
    let stream = stream.map_err(|error| ConnectError::Away(format!("{}: {error}", path.display())))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
async fn unix(path: &std::path::Path) -> Result<Box<dyn Stream>, ConnectError> {
    Err(ConnectError::Away(format!("{}: no Unix sockets on this system", path.display())))
}
