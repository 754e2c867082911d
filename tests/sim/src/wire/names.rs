//! Names of `inkwire_transport` and of what stands behind it, as far as the rooms know them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inkwire_protocol::close::{AfterClose, CloseCode};

#[derive(Debug, Clone)]
pub(crate) struct BrokerUrl;

#[derive(Debug)]
pub(crate) struct ClientConfig;

#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub(crate) struct TlsSetupError;

pub(crate) struct Trust;

impl Trust {
    pub(crate) fn of(_: &BrokerUrl) -> Self {
        Self
    }
}

pub(crate) fn client_config(_: Trust, _: Arc<ClockOffset>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    Ok(Arc::new(ClientConfig))
}

#[derive(Debug, Default)]
pub(crate) struct ClockOffset;

impl ClockOffset {
    pub(crate) fn new() -> Self {
        Self
    }
    pub(crate) fn correct(&self, _: Duration) {}
}

pub(crate) struct EncodingKey;

impl EncodingKey {
    pub(crate) fn from_ed_der(_: &[u8]) -> Self {
        Self
    }
}

#[derive(Debug)]
pub(crate) struct PeerCertificates;

impl PeerCertificates {
    pub(crate) fn check_validity(&self, _: Duration) -> Result<(), TlsSetupError> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketConfig;

impl SocketConfig {
    pub(crate) const AGENT: Self = Self;
}

/// The socket's queue takes no more.
#[derive(Debug, thiserror::Error)]
#[error("{queued} bytes are queued already, {message} more do not fit")]
pub(crate) struct Full {
    pub(crate) queued: usize,
    pub(crate) message: usize,
}

/// What a socket has to say.
#[expect(dead_code, reason = "the product says more than a simulated line asks")]
#[derive(Debug)]
pub(crate) enum Ready {
    Text(String),
    Binary(Bytes),
    Pong { rtt: Duration },
    Writable,
    Closed(Closed),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    Said { code: CloseCode, reason: String, by_us: bool },
    Lost(io::ErrorKind),
}

impl Closed {
    pub(crate) const fn code(&self) -> CloseCode {
        match self {
            Self::Said { code, .. } => *code,
            Self::Lost(_) => CloseCode::Other(1006),
        }
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said { code, reason, .. } => write!(f, "closed with {}: {reason}", code.name()),
            Self::Lost(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

/// A dial without a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("the broker does not answer")]
    Unreachable,
    #[error("the broker answered {status}")]
    Http { status: u16, retry_after: Option<Duration>, body: Vec<u8> },
}

impl DialError {
    pub(crate) const fn retry(&self) -> AfterClose {
        AfterClose::Reconnect
    }
}
