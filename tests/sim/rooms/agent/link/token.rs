//! The dial token: its claims, which nobody here forges.

use inkwire_protocol::ids::{AgentId, SessionToken};
use inkwire_protocol::limits::DIAL_TOKEN_LIFETIME;
use inkwire_protocol::message::{DIAL_AUDIENCE, DialClaims};

use inkwire_transport::EncodingKey;

pub(super) fn sign(
    _: &EncodingKey,
    agent: AgentId,
    n: u64,
    now_ms: u64,
    session: Option<&SessionToken>,
) -> Result<String, serde_json::Error> {
    let iat = now_ms / 1000;
    serde_json::to_string(&DialClaims {
        sub: agent.to_string(),
        aud: DIAL_AUDIENCE.into(),
        iat,
        exp: iat + DIAL_TOKEN_LIFETIME.as_secs(),
        n,
        th: session.map(|token| token.digest().to_string()),
    })
}
