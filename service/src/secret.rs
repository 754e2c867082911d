//! A text that must not be seen.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret text: masked in `Debug` and never `Display`ed, compared in constant time, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that was read or given.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A new one from 256 random bits: 43 characters of base64url.
    pub fn random() -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Self::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
    }

    /// The text itself. Each call is a place to look at.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares with a text that a stranger gave, in a time that tells only whether the lengths are equal.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.reveal())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(masked)")
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_and_compared_by_content() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(masked)");
        assert!(secret.matches("hunter2") && !secret.matches("hunter3") && !secret.matches("hunter"));
        assert_eq!(secret, Secret::new("hunter2"));
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn random_secrets_are_long_and_different() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_eq!(one.reveal().len(), 43);
        assert_ne!(one, other);
    }
}
