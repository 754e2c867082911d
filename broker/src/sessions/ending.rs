//! Why a session ends.

use std::borrow::Cow;

use inkwire_protocol::close::CloseCode;
use inkwire_transport::Full;

use super::hello::HelloError;
use super::outbound::AnswerError;

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

impl From<AnswerError> for Ending {
    fn from(error: AnswerError) -> Self {
        Self::violation(error.to_string())
    }
}

impl From<Full> for Ending {
    fn from(_: Full) -> Self {
        Self::new(CloseCode::Slow, "too much waits to be read by the agent")
    }
}
