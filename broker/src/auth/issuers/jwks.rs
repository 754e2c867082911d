//! A JSON Web Key Set (RFC 7517), as far as we use it. Pure.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::fetch::ReadError;

/// Keys in one set: more are nobody's.
const MAX_KEYS: usize = 64;

/// Keys that check signatures.
#[derive(Debug, Clone, Default)]
pub(super) struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    /// Keys of kinds that we do not know are left out; a set without any key is an error.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(bytes).map_err(|_| ReadError::NotASet)?;
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Jwk> = keys.filter(checks_signatures).collect();
        if keys.is_empty() { Err(ReadError::NotASet) } else { Ok(Self { keys }) }
    }

    /// The key of this name for this algorithm. A token without a name is checked by the only key there is.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let key = match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.common.key_id.as_deref() == Some(kid))?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        let named = key.common.key_algorithm.map(|name| name.to_string());
        // Both write an algorithm as the standard does.
        if named.is_some_and(|name| name != format!("{algorithm:?}")) {
            return None;
        }
        DecodingKey::from_jwk(key).ok()
    }
}

fn checks_signatures(key: &Jwk) -> bool {
    key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
}
