//! How a socket ended, as a value.

use std::fmt;
use std::io;
use std::time::Duration;

use inkwire_protocol::close::{AfterClose, CloseCode};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// How a socket ended. A normal close is one of these too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// One side said so.
    Said {
        /// Why.
        code: CloseCode,
        /// In words, for logs.
        reason: String,
        /// Whether it was this side.
        by_us: bool,
    },
    /// The connection broke without a word.
    Lost(io::ErrorKind),
}

impl Closed {
    /// The close code; a broken connection is 1006, as RFC 6455 section 7.1.5 has it.
    pub const fn code(&self) -> CloseCode {
        match self {
            Self::Said { code, .. } => *code,
            Self::Lost(_) => CloseCode::Other(1006),
        }
    }

    /// Whether this side ended it.
    pub const fn by_us(&self) -> bool {
        matches!(self, Self::Said { by_us: true, .. })
    }

    /// How a dialler goes on.
    pub const fn after(&self) -> AfterClose {
        self.code().after()
    }

    pub(super) fn by_us_with(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Said { code, reason: reason.into(), by_us: true }
    }

    pub(super) fn slow(within: Duration) -> Self {
        Self::by_us_with(CloseCode::Slow, format!("the peer took nothing for {} s", within.as_secs_f32()))
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(kind) => write!(f, "connection lost: {kind}"),
            Self::Said { code, reason, by_us } => {
                let who = if *by_us { "us" } else { "the peer" };
                write!(f, "closed by {who}: {} ({})", code.name(), code.code())?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
        }
    }
}

/// What an error of the library means: the peer's fault (and the code that it is told), or a lost connection.
pub(super) fn from_read(error: Error) -> Closed {
    match error {
        Error::Io(error) => Closed::Lost(error.kind()),
        Error::Capacity(error) => Closed::by_us_with(CloseCode::TooLarge, error.to_string()),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => Closed::Lost(io::ErrorKind::UnexpectedEof),
        Error::Protocol(error) => Closed::by_us_with(CloseCode::ProtocolViolation, error.to_string()),
        Error::Utf8(_) => Closed::by_us_with(CloseCode::ProtocolViolation, "text that is not UTF-8"),
        Error::AttackAttempt => Closed::by_us_with(CloseCode::ProtocolViolation, error.to_string()),
        Error::WriteBufferFull(_) => Closed::by_us_with(CloseCode::Slow, "answers to control frames pile up"),
        // Not given by an established stream.
        Error::Tls(_) | Error::Url(_) | Error::Http(_) | Error::HttpFormat(_) => {
            Closed::Lost(io::ErrorKind::Other)
        }
    }
}

/// Likewise for writing, where nothing is the peer's fault.
pub(super) fn from_write(error: Error) -> Closed {
    match from_read(error) {
        Closed::Said { code: CloseCode::ProtocolViolation, .. } => Closed::Lost(io::ErrorKind::BrokenPipe),
        closed @ (Closed::Said { .. } | Closed::Lost(_)) => closed,
    }
}
