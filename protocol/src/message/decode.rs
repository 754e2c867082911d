//! From text to a checked message and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::check::{self, OutOfBounds};
use super::{FromPairing, ToAgent, ToBroker, ToPairing};
use crate::close::CloseCode;
use crate::limits::MAX_CONTROL_BYTES;

/// Text that is no message of this protocol. The peer that sent it is at fault; [`MessageError::close_code`] tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Larger than a control message may be; it was not looked at.
    #[error("the peer sent a control message of {0} bytes, at most {MAX_CONTROL_BYTES} are allowed")]
    TooLarge(usize),
    /// Not JSON, or a known type with wrong fields.
    #[error("the peer sent a message that is not understood: {0}")]
    Malformed(String),
    /// A type that is not of the session's protocol version.
    #[error("the peer sent a message of the unknown type `{0}`")]
    UnknownType(String),
    /// A field out of its bounds.
    #[error("the peer sent a message that is not allowed: {0}")]
    OutOfBounds(#[from] OutOfBounds),
}

impl MessageError {
    /// What the peer is told.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLarge(_) => CloseCode::TooLarge,
            Self::Malformed(_) | Self::UnknownType(_) | Self::OutOfBounds(_) => CloseCode::ProtocolViolation,
        }
    }
}

/// A message of our own that may not be sent. This side is at fault.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It does not fit.
    #[error("a control message of {0} bytes does not fit into {MAX_CONTROL_BYTES}")]
    TooLarge(usize),
    /// It has no JSON form.
    #[error("a control message has no JSON form")]
    Json(#[from] serde_json::Error),
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ToBroker {}
    impl Sealed for super::ToAgent {}
    impl Sealed for super::ToPairing {}
    impl Sealed for super::FromPairing {}
}

/// One direction of control messages.
pub trait Control: sealed::Sealed + Serialize + DeserializeOwned {
    /// Whether the type was not known.
    fn is_unknown(&self) -> bool;
    /// Whether every field is within its bounds.
    fn check(&self) -> Result<(), OutOfBounds>;
}

macro_rules! control {
    ($($name:ident, $check:path;)*) => {$(
        impl Control for $name {
            fn is_unknown(&self) -> bool {
                matches!(self, Self::Unknown)
            }
            fn check(&self) -> Result<(), OutOfBounds> {
                $check(self)
            }
        }
    )*};
}

control! {
    ToBroker, check::to_broker;
    ToAgent, check::to_agent;
    ToPairing, check::to_pairing;
    FromPairing, check::from_pairing;
}

/// Reads and checks a control message. Nothing larger than [`MAX_CONTROL_BYTES`] is parsed.
pub fn decode<T: Control>(text: &str) -> Result<T, MessageError> {
    if text.len() > MAX_CONTROL_BYTES {
        return Err(MessageError::TooLarge(text.len()));
    }
    let message: T =
        serde_json::from_str(text).map_err(|error| MessageError::Malformed(brief(&error.to_string())))?;
    if message.is_unknown() {
        return Err(MessageError::UnknownType(type_of(text)));
    }
    message.check()?;
    Ok(message)
}

/// Writes a control message.
pub fn encode<T: Control>(message: &T) -> Result<String, EncodeError> {
    let text = serde_json::to_string(message)?;
    if text.len() > MAX_CONTROL_BYTES {
        return Err(EncodeError::TooLarge(text.len()));
    }
    Ok(text)
}

/// What a stranger sent is quoted, but never at length.
fn brief(text: &str) -> String {
    text.chars().take(200).collect()
}

fn type_of(text: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Tagged {
        #[serde(rename = "type")]
        type_: String,
    }
    serde_json::from_str::<Tagged>(text)
        .map_or_else(|_| String::new(), |tagged| tagged.type_.chars().take(64).collect())
}
