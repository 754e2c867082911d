//! Where an issuer's keys are: a file, or a URL that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::limits::MAX_JWKS_BYTES;

/// From the name's resolution to the last byte.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Where the keys are.
#[derive(Clone)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// `https`, or `http` at a loopback address.
    Url { url: Url, tls: Arc<ClientConfig> },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => write!(f, "{url}"),
        }
    }
}

/// Keys that could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the file cannot be read: {0}")]
    File(std::io::Error),
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("no answer: {0}")]
    Http(String),
    #[error("it answered {0}, and only 200 will do")]
    Status(http::StatusCode),
    #[error("it took longer than {} s", READ_WITHIN.as_secs())]
    TimedOut,
    #[error("it is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    #[error("it is not a JSON Web Key Set with a key that we know")]
    NotASet,
    #[error("the URL has no host")]
    NoHost,
}

impl Source {
    /// The bytes, bounded in size and time.
    pub(super) async fn read(&self) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::File(path) => {
                let length = tokio::fs::metadata(path).await.map_err(ReadError::File)?.len();
                if length > MAX_JWKS_BYTES as u64 {
                    return Err(ReadError::TooLarge);
                }
                tokio::fs::read(path).await.map_err(ReadError::File)
            }
            Self::Url { url, tls } => {
                tokio::time::timeout(READ_WITHIN, get(url, tls)).await.map_err(|_| ReadError::TimedOut)?
            }
        }
    }
}

async fn get(url: &Url, tls: &Arc<ClientConfig>) -> Result<Vec<u8>, ReadError> {
    let host = url.host_str().ok_or(ReadError::NoHost)?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().ok_or(ReadError::NoHost)?;
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(ReadError::Connect)?;
    if url.scheme() == "http" {
        return ask(url, tcp).await;
    }
    let name = ServerName::try_from(host).map_err(|_| ReadError::NoHost)?;
    let tls = TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(ReadError::Connect)?;
    ask(url, tls).await
}

/// One request on a connection of its own; redirects are not followed.
async fn ask<S>(url: &Url, stream: S) -> Result<Vec<u8>, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| ReadError::Http(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = Request::get(path)
        .header(HOST, url.authority())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| ReadError::Http(error.to_string()))?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        if response.status() != http::StatusCode::OK {
            return Err(ReadError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_JWKS_BYTES).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|_| ReadError::TooLarge)
    };
    // The connection lives exactly as long as its one request.
    tokio::pin!(connection, asking);
    tokio::select! {
        read = &mut asking => read,
        ended = &mut connection => match ended {
            Ok(()) => asking.await,
            Err(error) => Err(failed(error)),
        },
    }
}
