//! The dial: the token in the upgrade's `Authorization` header, and the body of its refusal.

use serde::{Deserialize, Serialize};

/// Audience of an agent's dial token.
pub const DIAL_AUDIENCE: &str = "inkwire-agent";

/// Claims of an agent's dial token (JWT, EdDSA by the device key), one for each dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialClaims {
    /// The agent's id.
    pub sub: String,
    /// [`DIAL_AUDIENCE`].
    pub aud: String,
    /// Unix seconds.
    pub iat: u64,
    /// Unix seconds; at most [`crate::limits::DIAL_TOKEN_LIFETIME`] after `iat`.
    pub exp: u64,
    /// Durable at the agent, one more for each dial: a replayed token is dead.
    pub n: u64,
    /// SHA-256 of the session token presented in `hello` (hexadecimal), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub th: Option<String>,
}

/// Body of a 401 to an agent's dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialRefused {
    /// A keyword.
    pub error: DialError,
    /// In words, with the remedy.
    pub detail: String,
    /// The broker's clock: the agent corrects its own idea of time by it.
    pub broker_time_ms: u64,
}

/// Why a dial is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialError {
    /// The token's times do not fit the broker's clock: correct and dial again.
    Clock,
    /// The token's number was used before: dial again with a larger one.
    Replayed,
    /// Not a token, a wrong signature, an unknown agent.
    Unauthenticated,
    /// The agent was revoked.
    Revoked,
    /// Two PCs use this identity.
    Clone,
    /// Too many connections or handshakes: come back later.
    Busy,
}
