//! What `hello` must be before it may begin a session, beyond what the protocol checks of every message. Pure.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Hello;
use inkwire_protocol::session::reconcile::{Incompatible, choose_version};

use crate::auth::keys::same;

/// A `hello` that begins nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    /// The session token is not the one that the dial token was signed for.
    #[error("the session presented is not the one that the dial token names")]
    OtherSession,
    /// The session token is another agent's.
    #[error("the session presented belongs to another agent")]
    ForeignSession,
    /// No version in common.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
}

impl HelloError {
    /// What the agent is told.
    pub(crate) const fn code(&self) -> CloseCode {
        match self {
            Self::OtherSession | Self::ForeignSession => CloseCode::Unauthenticated,
            Self::Incompatible(_) => CloseCode::Incompatible,
        }
    }
}

/// Checks `hello` against the dial: `signed_for` is the digest in the dial token. Answers the protocol version.
pub(crate) fn check(hello: &Hello, signed_for: Option<&Sha256Digest>) -> Result<u16, HelloError> {
    let version = choose_version(hello.protocol)?;
    let presented = hello.session.as_ref().map(|token| token.digest());
    match (&presented, signed_for) {
        (None, None) => Ok(version),
        (Some(presented), Some(signed_for)) if same(presented, signed_for) => Ok(version),
        _ => Err(HelloError::OtherSession),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{InstanceId, SessionToken, SpoolId};
    use inkwire_protocol::limits::PROTOCOL_VERSION;

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            version: "0.1.0".into(),
            instance: InstanceId::from_uuid(uuid::Uuid::nil()),
            spool: SpoolId::from_uuid(uuid::Uuid::nil()),
            ledger_seq: 0,
            facts_acked: 0,
            receipt: None,
            session: None,
            hostname: "till".into(),
            os: "linux-x86_64".into(),
            local_endpoint: None,
            printers: Vec::new(),
            transfers: Vec::new(),
            clock_offset_ms: None,
        }
    }

    #[test]
    fn a_session_is_taken_up_only_with_the_token_that_the_dial_was_signed_for() {
        let token = SessionToken::from_bytes([7; 32]);
        let (right, wrong) = (token.digest(), SessionToken::from_bytes([8; 32]).digest());
        let with = Hello { session: Some(token), ..hello() };
        assert_eq!(check(&hello(), None), Ok(PROTOCOL_VERSION));
        assert_eq!(check(&with, Some(&right)), Ok(PROTOCOL_VERSION));
        for (hello, signed_for) in [(&with, Some(&wrong)), (&with, None), (&hello(), Some(&right))] {
            assert_eq!(check(hello, signed_for), Err(HelloError::OtherSession));
        }
        assert_eq!(HelloError::OtherSession.code(), CloseCode::Unauthenticated);
    }

    #[test]
    fn a_newer_agent_is_spoken_to_in_our_version_and_an_older_one_not_at_all() {
        assert_eq!(check(&Hello { protocol: PROTOCOL_VERSION + 1, ..hello() }, None), Ok(PROTOCOL_VERSION));
        assert_eq!(
            check(&Hello { protocol: 0, ..hello() }, None).unwrap_err().code(),
            CloseCode::Incompatible
        );
    }
}
