//! The token that goes with each dial.

use inkwire_protocol::ids::{AgentId, SessionToken};
use inkwire_protocol::limits::DIAL_TOKEN_LIFETIME;
use inkwire_protocol::message::{DIAL_AUDIENCE, DialClaims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

/// Signs a token for the dial with number `n` at `now_ms` of the broker's time.
pub(super) fn sign(
    key: &EncodingKey,
    agent: AgentId,
    n: u64,
    now_ms: u64,
    session: Option<&SessionToken>,
) -> Result<String, jsonwebtoken::errors::Error> {
    let iat = now_ms / 1000;
    let claims = DialClaims {
        sub: agent.to_string(),
        aud: DIAL_AUDIENCE.into(),
        iat,
        exp: iat + DIAL_TOKEN_LIFETIME.as_secs(),
        n,
        th: session.map(|token| token.digest().to_string()),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::DeviceKey;
    use jsonwebtoken::{DecodingKey, Validation};

    #[test]
    fn a_token_names_agent_number_and_session_and_is_signed() {
        let device = DeviceKey::generate().unwrap();
        let key = EncodingKey::from_ed_der(device.pkcs8());
        let agent = AgentId::from_uuid(uuid::Uuid::from_u128(5));
        let session = SessionToken::from_bytes([3; 32]);
        let token = sign(&key, agent, 7, 2_000_000_000_000, Some(&session)).unwrap();

        let public = DecodingKey::from_ed_components(&device.public()).unwrap();
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[DIAL_AUDIENCE]);
        let claims = jsonwebtoken::decode::<DialClaims>(&token, &public, &rules).unwrap().claims;
        assert_eq!((claims.n, claims.sub), (7, agent.to_string()));
        assert_eq!(claims.th, Some(session.digest().to_string()));
        assert_eq!(claims.exp - claims.iat, 60);
    }
}
