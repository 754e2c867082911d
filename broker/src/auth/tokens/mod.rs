//! Access tokens of our own: JWTs signed with EdDSA that live for minutes, and the keys that sign them.
//!
//! A token names the key or the sign-in that it was made by, and is worth nothing without it. The keys are rotated; the
//! last one stays published, so that others can check what it signed.

mod ring;

use std::path::Path;
use std::sync::{PoisonError, RwLock};

use inkwire_protocol::app::Scope;
use inkwire_protocol::ids::{AccountId, KeyId, LoginId};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use ring::Ring;
pub(crate) use ring::RingError;

/// Whom our tokens are for.
pub(crate) const AUDIENCE: &str = "inkwire-app";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    /// `key:ID` or `user:ID`.
    pub(crate) sub: String,
    pub(crate) account: AccountId,
    pub(crate) scope: Scope,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) jti: Uuid,
    /// The key that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<KeyId>,
    /// The sign-in that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<LoginId>,
}

/// The keys, and who we are in tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) issuer: String,
    ring: RwLock<Ring>,
}

impl Tokens {
    /// Reads the keys from `file` or makes the first one. Blocks.
    pub(crate) fn open(issuer: String, file: &Path, rotate_s: u64, now_ms: u64) -> Result<Self, RingError> {
        Ok(Self { issuer, ring: RwLock::new(Ring::open(file, rotate_s, now_ms)?) })
    }

    /// Makes a new key where the newest is old enough. Blocks.
    pub(crate) fn rotate(&self, now_ms: u64) -> Result<bool, RingError> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).rotate(now_ms)
    }

    /// Signs.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.newest();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signing())
    }

    /// The claims of a token of ours that is good now. The algorithm is pinned, `kid` only chooses among the keys in memory.
    pub(crate) fn verify(&self, token: &str, now_ms: u64) -> Option<Claims> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.named(&kid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        validation.required_spec_claims = ["exp", "aud", "iss", "sub"].map(str::to_owned).into();
        // The library would read the wall clock; the time is judged below by the one that was given.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.checking(), &validation).ok()?.claims;
        let now_s = now_ms / 1000;
        if claims.exp > now_s && claims.iat <= now_s + 60 { Some(claims) } else { None }
    }

    /// The public keys, for `/.well-known/jwks.json`.
    pub(crate) fn published(&self) -> Value {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).published()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use serde_json::json;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn tokens(folder: &Path) -> Tokens {
        Tokens::open("https://b".into(), &folder.join("keys.json"), 100, NOW_MS).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://b".into(),
            aud: AUDIENCE.into(),
            sub: "key:x".into(),
            account: AccountId::from_uuid(Uuid::nil()),
            scope: Scope::Read,
            iat: NOW_MS / 1000,
            exp: NOW_MS / 1000 + 900,
            jti: Uuid::nil(),
            key: Some(KeyId::from_uuid(Uuid::nil())),
            sid: None,
        }
    }

    #[test]
    fn what_was_signed_is_good_in_its_time_also_after_a_restart_and_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let token = tokens(folder.path()).sign(&claims()).unwrap();
        let again = tokens(folder.path());
        assert_eq!(again.verify(&token, NOW_MS), Some(claims()));
        assert_eq!(again.verify(&token, NOW_MS + 900_000), None);
        assert!(!again.rotate(NOW_MS + 99_000).unwrap());
        assert!(again.rotate(NOW_MS + 100_000).unwrap());
        assert_eq!(again.published()["keys"].as_array().unwrap().len(), 2);
        assert_eq!(again.verify(&token, NOW_MS), Some(claims()));
        assert!(again.rotate(NOW_MS + 200_000).unwrap());
        assert_eq!(again.published()["keys"].as_array().unwrap().len(), 2);
        assert_eq!(again.verify(&token, NOW_MS), None);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.path().join("keys.json")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn forgeries_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path());
        let good = tokens.sign(&claims()).unwrap();
        let published = tokens.published();
        let kid = published["keys"][0]["kid"].as_str().unwrap();
        let public = URL_SAFE_NO_PAD.decode(published["keys"][0]["x"].as_str().unwrap()).unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        let with_header = |header: Value| {
            format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1], parts[2])
        };
        let mut hs = Header::new(Algorithm::HS256);
        hs.kid = Some(kid.to_owned());
        let confused = jsonwebtoken::encode(&hs, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Tokens::open("https://b".into(), &elsewhere.path().join("k"), 100, NOW_MS).unwrap();
        for (what, token) in [
            ("alg none", with_header(json!({"alg": "none", "kid": kid}))),
            ("the public key as an HMAC secret", confused),
            ("no kid", with_header(json!({"alg": "EdDSA"}))),
            ("an unknown kid", with_header(json!({"alg": "EdDSA", "kid": "x"}))),
            ("a path as kid", with_header(json!({"alg": "EdDSA", "kid": "../../../../dev/null"}))),
            ("another kid's header", with_header(json!({"alg": "EdDSA", "kid": kid, "jku": "https://evil"}))),
            ("another key", other.sign(&claims()).unwrap()),
            ("another audience", tokens.sign(&Claims { aud: "x".into(), ..claims() }).unwrap()),
            ("another issuer", tokens.sign(&Claims { iss: "x".into(), ..claims() }).unwrap()),
            ("expired", tokens.sign(&Claims { exp: NOW_MS / 1000, ..claims() }).unwrap()),
            ("from tomorrow", tokens.sign(&Claims { iat: NOW_MS / 1000 + 61, ..claims() }).unwrap()),
            ("cut", good[..good.len() - 3].to_owned()),
            ("nothing", String::new()),
        ] {
            assert_eq!(tokens.verify(&token, NOW_MS), None, "{what}");
        }
    }
}
