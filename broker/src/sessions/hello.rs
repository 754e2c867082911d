//! What `hello` must be before it may begin a session. Pure.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::limits::{
    MAX_NAME_CHARS, MAX_OPEN_TRANSFERS, MAX_PRINTERS, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION,
};
use inkwire_protocol::message::Hello;
use inkwire_protocol::printer::PrinterInfo;

/// A `hello` that begins nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    /// The session token is not the one that the dial token was signed for.
    #[error("the session presented is not the one that the dial token names")]
    OtherSession,
    /// The session token is another agent's.
    #[error("the session presented belongs to another agent")]
    ForeignSession,
    /// No version in common.
    #[error("protocol {0} is older than {OLDEST_PROTOCOL_VERSION}: update the agent")]
    Incompatible(u16),
    /// More than any agent has.
    #[error("hello lists {got} {what}, at most {most} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        got: usize,
        /// The bound.
        most: usize,
    },
    /// Two printers of one number.
    #[error("hello lists printer {0} twice")]
    TwicePrinter(u16),
    /// A name that is too long.
    #[error("a name in hello is longer than {MAX_NAME_CHARS} characters")]
    LongName,
}

impl HelloError {
    /// What the agent is told.
    pub(crate) const fn code(&self) -> CloseCode {
        match self {
            Self::OtherSession | Self::ForeignSession => CloseCode::Unauthenticated,
            Self::Incompatible(_) => CloseCode::Incompatible,
            Self::TooMany { .. } | Self::TwicePrinter(_) | Self::LongName => CloseCode::ProtocolViolation,
        }
    }
}

/// Checks `hello` against the dial: `signed_for` is the digest in the dial token. Answers the protocol version.
pub(crate) fn check(hello: &Hello, signed_for: Option<&Sha256Digest>) -> Result<u16, HelloError> {
    if hello.protocol < OLDEST_PROTOCOL_VERSION {
        return Err(HelloError::Incompatible(hello.protocol));
    }
    let presented = hello.session.as_ref().map(|token| token.digest());
    match (&presented, signed_for) {
        (None, None) => {}
        (Some(presented), Some(signed_for)) if crate::auth::keys::same(presented, signed_for) => {}
        _ => return Err(HelloError::OtherSession),
    }
    check_printers(&hello.printers)?;
    if hello.transfers.len() > MAX_OPEN_TRANSFERS {
        let got = hello.transfers.len();
        return Err(HelloError::TooMany { what: "transfers", got, most: MAX_OPEN_TRANSFERS });
    }
    if [&hello.hostname, &hello.os, &hello.version].iter().any(|name| is_long(name)) {
        return Err(HelloError::LongName);
    }
    Ok(hello.protocol.min(PROTOCOL_VERSION))
}

/// Checks a list of printers, in `hello` or in a report.
pub(crate) fn check_printers(printers: &[PrinterInfo]) -> Result<(), HelloError> {
    if printers.len() > MAX_PRINTERS {
        return Err(HelloError::TooMany { what: "printers", got: printers.len(), most: MAX_PRINTERS });
    }
    for (at, printer) in printers.iter().enumerate() {
        if printers[..at].iter().any(|before| before.number == printer.number) {
            return Err(HelloError::TwicePrinter(printer.number.0));
        }
        if is_long(&printer.name) {
            return Err(HelloError::LongName);
        }
    }
    Ok(())
}

fn is_long(name: &str) -> bool {
    name.chars().nth(MAX_NAME_CHARS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::ids::{InstanceId, SessionToken, SpoolId};

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            version: "0.1.0".into(),
            instance: InstanceId::from_uuid(uuid::Uuid::nil()),
            spool: SpoolId::from_uuid(uuid::Uuid::nil()),
            ledger_seq: 0,
            facts_acked: 0,
            session: None,
            hostname: "till".into(),
            os: "linux-x86_64".into(),
            local_endpoint: None,
            printers: vec![printer(1), printer(2)],
            transfers: Vec::new(),
            clock_offset_ms: None,
        }
    }

    fn printer(number: u16) -> PrinterInfo {
        let text = format!(r#"{{"number":{number},"name":"p","backend":"socket","formats":[]}}"#);
        serde_json::from_str(&text).unwrap()
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
    }

    #[test]
    fn versions_and_bounds_hold() {
        assert_eq!(check(&Hello { protocol: PROTOCOL_VERSION + 1, ..hello() }, None), Ok(PROTOCOL_VERSION));
        assert_eq!(check(&Hello { protocol: 0, ..hello() }, None), Err(HelloError::Incompatible(0)));
        let code = |hello: Hello| check(&hello, None).unwrap_err().code();
        let printers: Vec<_> = (0..=MAX_PRINTERS as u16).map(printer).collect();
        assert_eq!(code(Hello { printers, ..hello() }), CloseCode::ProtocolViolation);
        assert_eq!(code(Hello { printers: vec![printer(3), printer(3)], ..hello() }), CloseCode::ProtocolViolation);
        assert_eq!(code(Hello { hostname: "x".repeat(300), ..hello() }), CloseCode::ProtocolViolation);
    }
}
