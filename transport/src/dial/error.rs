//! Why an attempt failed, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use inkwire_protocol::close::AfterClose;
use rustls::CertificateError;

use crate::url::BrokerUrlError;
use crate::verify::{PinMismatch, is_only_time};

/// A step of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Name to addresses.
    Resolve,
    /// TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The HTTP request.
    Upgrade,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "the upgrade to WebSocket",
        })
    }
}

/// Why an attempt failed. [`DialError::retry`] says how to go on.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host's name is in no certificate's reach.
    #[error(transparent)]
    Url(BrokerUrlError),
    /// The name has no address now.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// No address took the connection.
    #[error("cannot connect to {}", list(tried))]
    Connect {
        /// What was tried, in order, and what came of it.
        tried: Vec<(SocketAddr, io::Error)>,
        /// Whether all just did not answer.
        timed_out: bool,
    },
    /// The deadline passed.
    #[error("{stage} was not done after {after:?}")]
    TimedOut {
        /// In which step.
        stage: Stage,
        /// The deadline.
        after: Duration,
    },
    /// Another authority than the pinned one.
    #[error(transparent)]
    Pin(PinMismatch),
    /// The certificate is for other names, not valid now, or not signed by whom it should be.
    #[error("the broker's certificate is refused: {0}")]
    Certificate(CertificateError),
    /// The handshake failed for another reason.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The connection broke, or answered with something else than HTTP.
    #[error("the connection broke: {0}")]
    Lost(#[source] io::Error),
    /// The other end is not a broker, or speaks another version of it.
    #[error("not an Inkwire broker: {0}")]
    NotABroker(String),
    /// The broker answered with another status than 101.
    #[error("the broker answered {status}{}", excerpt(body))]
    Http {
        /// Its status.
        status: StatusCode,
        /// The body, at most [`crate::limits::MAX_ERROR_BODY_BYTES`] of it.
        body: Vec<u8>,
        /// Its `Retry-After` (in seconds), at most [`crate::limits::MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
}

impl DialError {
    /// How the dialler goes on. A 401 or 403 is for the caller to look into first: the time may be wrong, or the agent revoked.
    pub fn retry(&self) -> AfterClose {
        // A captive portal, a proxy that intercepts, a broker whose certificate is being exchanged: mostly it passes.
        const SOON: AfterClose = AfterClose::ReconnectAfter(Duration::from_secs(30));
        match self {
            Self::Http { retry_after: Some(after), .. } => AfterClose::ReconnectAfter(*after),
            Self::Http { status, .. } if status.is_server_error() => AfterClose::Reconnect,
            Self::Http { status: StatusCode::TOO_MANY_REQUESTS, .. } => SOON,
            Self::Http { status: StatusCode::UNAUTHORIZED, .. } => {
                AfterClose::ReconnectAfter(Duration::from_secs(5))
            }
            Self::Http { status: StatusCode::FORBIDDEN | StatusCode::UPGRADE_REQUIRED, .. }
            | Self::Url(_) => AfterClose::Hourly,
            Self::Http { .. } | Self::Pin(_) | Self::Certificate(_) | Self::Tls(_) | Self::NotABroker(_) => {
                SOON
            }
            Self::Resolve { .. } | Self::Connect { .. } | Self::TimedOut { .. } | Self::Lost(_) => {
                AfterClose::Reconnect
            }
        }
    }

    /// The status of the broker's answer, if it gave one.
    pub const fn status(&self) -> Option<StatusCode> {
        if let Self::Http { status, .. } = self { Some(*status) } else { None }
    }

    /// Whether the certificate is refused because of the time alone.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Certificate(error) if is_only_time(&error.clone().into()))
    }

    /// What an error of the handshake is about.
    pub(super) fn from_tls(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
                match other.0.downcast_ref::<PinMismatch>() {
                    Some(mismatch) => Self::Pin(*mismatch),
                    None => Self::Certificate(CertificateError::Other(other.clone())),
                }
            }
            Some(rustls::Error::InvalidCertificate(error)) => Self::Certificate(error.clone()),
            Some(error) => Self::Tls(error.clone()),
            None => Self::Lost(error),
        }
    }
}

fn list(tried: &[(SocketAddr, io::Error)]) -> String {
    let each: Vec<_> = tried.iter().map(|(address, error)| format!("{address} ({error})")).collect();
    each.join(", ")
}

fn excerpt(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(200).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}
