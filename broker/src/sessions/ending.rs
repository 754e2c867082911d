//! Why a session ends.

use std::borrow::Cow;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::{EncodeError, MessageError};
use inkwire_protocol::transfer::Violation;
use inkwire_transport::Full;

use super::hello::HelloError;

/// Why a session ends; a value, for most ends are nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The close code: what the agent is told, or what it told us.
    pub(crate) code: CloseCode,
    /// In words: the close frame's reason.
    pub(crate) detail: Cow<'static, str>,
}

impl Ending {
    /// An end with its reason in words.
    pub(crate) fn new(code: CloseCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The agent did something that is not allowed.
    pub(crate) fn violation(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CloseCode::ProtocolViolation, detail)
    }

    /// An end that needs no words.
    pub(crate) const fn of(code: CloseCode) -> Self {
        Self { code, detail: Cow::Borrowed(code.name()) }
    }
}

impl From<HelloError> for Ending {
    fn from(error: HelloError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Violation> for Ending {
    fn from(violation: Violation) -> Self {
        Self::new(violation.close_code(), violation.to_string())
    }
}

impl From<MessageError> for Ending {
    fn from(error: MessageError) -> Self {
        Self::new(error.close_code(), error.to_string())
    }
}

/// A message of ours that may not be sent: the session cannot go on, and comes back.
impl From<EncodeError> for Ending {
    fn from(error: EncodeError) -> Self {
        tracing::error!(%error, "a message to an agent could not be written");
        Self::new(CloseCode::Draining, "the broker could not write a message")
    }
}

impl From<Full> for Ending {
    fn from(_: Full) -> Self {
        Self::new(CloseCode::Slow, "too much waits to be read by the agent")
    }
}
