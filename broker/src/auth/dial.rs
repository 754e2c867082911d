//! Whether a dial is an agent's: its token is a JWT that the device key signed for this one dial.
//!
//! The algorithm is pinned to EdDSA whatever the token says, the audience and the subject are checked, its times are
//! judged by the broker's clock, and its number `n` must be larger than every one before. An unknown agent, a
//! damaged token and a wrong signature answer alike.

use inkwire_protocol::ids::{AgentId, Sha256Digest};
use inkwire_protocol::limits::{DIAL_TOKEN_LEEWAY, DIAL_TOKEN_LIFETIME};
use inkwire_protocol::message::{DIAL_AUDIENCE, DialClaims, DialError};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// What the store knows of the agent that a dial claims to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Its id.
    pub(crate) agent: AgentId,
    /// Its Ed25519 public key.
    pub(crate) public_key: &'a [u8; 32],
    /// The largest `n` that began a session.
    pub(crate) last_n: u64,
    /// Revoked by an operator.
    pub(crate) revoked: bool,
    /// Two PCs use it; kept out until released.
    pub(crate) quarantined: bool,
}

/// A dial that is the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Whose.
    pub(crate) agent: AgentId,
    /// Its number; committed with the session's beginning.
    pub(crate) n: u64,
    /// SHA-256 of the session token that `hello` must present, if any.
    pub(crate) session: Option<Sha256Digest>,
}

/// The agent that a token claims to be, before anything is checked: whom to look up.
pub(crate) fn claimed_agent(token: &str) -> Option<AgentId> {
    #[derive(Deserialize)]
    struct Claimed {
        sub: String,
    }
    let claimed: Claimed = jsonwebtoken::dangerous::insecure_decode(token).ok()?.claims;
    claimed.sub.parse().ok()
}

/// Checks a dial token. `now_ms` is the broker's clock.
pub(crate) fn admit(token: &str, known: Known<'_>, now_ms: u64) -> Result<Admitted, DialError> {
    let claims = verify(token, known)?;
    // Only its holder learns of a quarantine or of a revocation: everybody else was refused above.
    if known.revoked {
        return Err(DialError::Revoked);
    }
    check_times(&claims, now_ms)?;
    if known.quarantined {
        return Err(DialError::Clone);
    }
    if claims.n <= known.last_n {
        return Err(DialError::Replayed);
    }
    let session = claims.th.map(|text| text.parse()).transpose().map_err(|_| DialError::Unauthenticated)?;
    Ok(Admitted { agent: known.agent, n: claims.n, session })
}

fn verify(token: &str, known: Known<'_>) -> Result<DialClaims, DialError> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[DIAL_AUDIENCE]);
    validation.sub = Some(known.agent.to_string());
    validation.required_spec_claims = ["exp", "aud", "sub"].map(str::to_owned).into();
    // The library would read the wall clock; the times are judged below by the one that was given.
    validation.validate_exp = false;
    let key = DecodingKey::from_ed_der(known.public_key);
    let decoded = jsonwebtoken::decode::<DialClaims>(token, &key, &validation);
    decoded.map(|data| data.claims).map_err(|error| {
        tracing::debug!(agent = %known.agent, kind = ?DebugKind(error.kind()), "dial token refused");
        DialError::Unauthenticated
    })
}

/// The kind without what the token said.
struct DebugKind<'a>(&'a ErrorKind);

impl std::fmt::Debug for DebugKind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(text.split(['(', '{']).next().unwrap_or_default())
    }
}

fn check_times(claims: &DialClaims, now_ms: u64) -> Result<(), DialError> {
    let (leeway, lifetime) = (DIAL_TOKEN_LEEWAY.as_secs(), DIAL_TOKEN_LIFETIME.as_secs());
    let now = now_ms / 1000;
    // A token that claims to live longer than any does is forged by whoever holds the key: not a clock's fault.
    if claims.exp < claims.iat || claims.exp - claims.iat > lifetime {
        return Err(DialError::Unauthenticated);
    }
    if now > claims.exp.saturating_add(leeway) || claims.iat > now.saturating_add(leeway) {
        return Err(DialError::Clock);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use jsonwebtoken::{EncodingKey, Header};

    const NOW_MS: u64 = 1_800_000_000_000;
    const NOW: u64 = NOW_MS / 1000;

    struct Device {
        pair: Ed25519KeyPair,
        public: [u8; 32],
    }

    impl Device {
        fn new() -> Self {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            Self { pair, public }
        }

        fn sign(&self, claims: &DialClaims) -> String {
            let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
            jsonwebtoken::encode(
                &Header::new(Algorithm::EdDSA),
                claims,
                &EncodingKey::from_ed_der(der.as_ref()),
            )
            .unwrap()
        }

        fn known(&self) -> Known<'_> {
            Known { agent: agent(), public_key: &self.public, last_n: 6, revoked: false, quarantined: false }
        }
    }

    fn agent() -> AgentId {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
    }

    fn claims() -> DialClaims {
        let th = Some(Sha256Digest::of(b"token").to_string());
        DialClaims { sub: agent().to_string(), aud: DIAL_AUDIENCE.into(), iat: NOW, exp: NOW + 60, n: 7, th }
    }

    #[test]
    fn the_agents_own_token_is_admitted() {
        let device = Device::new();
        let token = device.sign(&claims());
        assert_eq!(claimed_agent(&token), Some(agent()));
        let admitted = Admitted { agent: agent(), n: 7, session: Some(Sha256Digest::of(b"token")) };
        assert_eq!(admit(&token, device.known(), NOW_MS), Ok(admitted));
    }

    #[test]
    fn a_wrong_clock_is_told_and_a_long_life_is_not() {
        let device = Device::new();
        let at = |iat: u64, life: u64| {
            let token = device.sign(&DialClaims { iat, exp: iat + life, ..claims() });
            admit(&token, device.known(), NOW_MS).err()
        };
        assert_eq!(at(NOW - 89, 60), None);
        assert_eq!(at(NOW + 30, 60), None);
        assert_eq!(at(NOW - 91, 60), Some(DialError::Clock));
        assert_eq!(at(NOW + 31, 60), Some(DialError::Clock));
        assert_eq!(at(0, 60), Some(DialError::Clock));
        assert_eq!(at(NOW, 61), Some(DialError::Unauthenticated));
    }

    #[test]
    fn a_number_is_good_once() {
        let device = Device::new();
        let token = device.sign(&claims());
        let known = Known { last_n: 7, ..device.known() };
        assert_eq!(admit(&token, known, NOW_MS), Err(DialError::Replayed));
    }

    #[test]
    fn forgeries_are_refused_alike() {
        let (device, other) = (Device::new(), Device::new());
        let good = device.sign(&claims());
        let parts: Vec<&str> = good.split('.').collect();
        let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0"; // {"typ":"JWT","alg":"none"}
        let hs256 = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(&device.public),
        )
        .unwrap();
        for (what, token) in [
            ("another key", other.sign(&claims())),
            ("alg none", format!("{none}.{}.", parts[1])),
            ("alg none with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
            ("the public key as an HMAC secret", hs256),
            ("another audience", device.sign(&DialClaims { aud: "else".into(), ..claims() })),
            (
                "another agent",
                device
                    .sign(&DialClaims { sub: AgentId::from_uuid(uuid::Uuid::nil()).to_string(), ..claims() }),
            ),
            ("no digest", device.sign(&DialClaims { th: Some("x".into()), ..claims() })),
            ("cut", good[..good.len() - 4].to_owned()),
            ("nothing", String::new()),
        ] {
            assert_eq!(admit(&token, device.known(), NOW_MS), Err(DialError::Unauthenticated), "{what}");
        }
    }

    #[test]
    fn only_the_holder_of_the_key_learns_of_a_quarantine() {
        let (device, other) = (Device::new(), Device::new());
        let known = Known { quarantined: true, ..device.known() };
        assert_eq!(admit(&device.sign(&claims()), known, NOW_MS), Err(DialError::Clone));
        assert_eq!(admit(&other.sign(&claims()), known, NOW_MS), Err(DialError::Unauthenticated));
        let known = Known { revoked: true, ..device.known() };
        assert_eq!(admit(&device.sign(&claims()), known, NOW_MS), Err(DialError::Revoked));
    }
}
