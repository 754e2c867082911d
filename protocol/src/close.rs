//! Why a connection is closed. Codes 4000–4499 say "come back", 4500–4999 say "do not, until somebody acts".
//! Registered in docs/protocol.md; the numbers never change.

use std::time::Duration;

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A close code of this protocol, or what a WebSocket library reports (RFC 6455 section 7.4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[$doc])* $name,)*
            /// Any other code; treated by its range.
            Other(u16),
        }

        impl CloseCode {
            /// Every code that this version names, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* Self::Other(code) => code }
            }

            /// The name in the close frame, in logs and in the specification.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* Self::Other(_) => "other" }
            }
        }

        impl From<u16> for CloseCode {
            fn from(code: u16) -> Self {
                match code { $($code => Self::$name,)* other => Self::Other(other) }
            }
        }
    };
}

close_codes! {
    /// A normal end (RFC 6455).
    Normal = 1000, "normal";
    /// The broker is stopping; `retry_after` says when to come back.
    Draining = 4000, "draining";
    /// A newer session of the same agent has taken over.
    Superseded = 4001, "superseded";
    /// No byte was heard for too long.
    Silent = 4002, "silent";
    /// `hello` or `authenticate` did not come in time.
    HelloTimeout = 4003, "hello-timeout";
    /// The peer does not read what is sent to it.
    Slow = 4004, "slow";
    /// The broker has as many connections as it is willing to hold.
    Busy = 4005, "busy";
    /// The access token has expired and no newer one came; come back with one.
    Expired = 4006, "expired";
    /// A message was not understood or not allowed now.
    ProtocolViolation = 4100, "protocol-violation";
    /// A message or packet was larger than its limit.
    TooLarge = 4101, "too-large";
    /// A packet came outside the window or out of order.
    PacketOutOfWindow = 4102, "packet-out-of-window";
    /// A packet's data did not match its checksum.
    PacketDamaged = 4103, "packet-damaged";
    /// The dial token or key is not valid (any more).
    Unauthenticated = 4500, "unauthenticated";
    /// The agent or key was revoked.
    Revoked = 4501, "revoked";
    /// Two PCs use one identity; an operator must release one.
    Clone = 4502, "clone";
    /// No protocol version in common.
    Incompatible = 4503, "incompatible";
}

/// How a dialler goes on after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterClose {
    /// Dial again by the ordinary policy.
    Reconnect,
    /// The peer or we made a mistake that will likely repeat: not before this long.
    ReconnectAfter(Duration),
    /// Ask again hourly: only a person can change the answer.
    Hourly,
}

impl CloseCode {
    /// What a dialler does after this close.
    pub const fn after(self) -> AfterClose {
        match self.code() {
            // Our message was not liked (RFC 6455): protocol error, type, encoding, policy, size.
            1002 | 1003 | 1007 | 1008 | 1009 | 4100..=4499 => {
                AfterClose::ReconnectAfter(Duration::from_secs(5))
            }
            4500..=4999 => AfterClose::Hourly,
            _ => AfterClose::Reconnect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_their_numbers_and_ranges() {
        for &code in CloseCode::ALL {
            assert_eq!(CloseCode::from(code.code()), code);
        }
        assert_eq!(CloseCode::from(4499).after(), AfterClose::ReconnectAfter(Duration::from_secs(5)));
        assert_eq!(CloseCode::from(4999).after(), AfterClose::Hourly);
        assert_eq!(CloseCode::from(1006).after(), AfterClose::Reconnect);
    }
}
