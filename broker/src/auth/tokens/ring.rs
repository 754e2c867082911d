//! The signing keys: the newest signs, the one before it still checks.

use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_service::fsio::write_durable;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Keys that are kept: the newest and the one before.
const KEPT: usize = 2;

/// Signing keys that cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    /// Not read.
    #[error("cannot read the token keys {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// Read, but not understood.
    #[error("the token keys {} are damaged: remove the file, and new ones are made", .0.display())]
    Damaged(PathBuf),
    /// Not written.
    #[error("cannot write the token keys: {0}")]
    Write(#[from] inkwire_service::fsio::WriteError),
    /// Not made.
    #[error("cannot make a token key")]
    Make,
}

/// One key, as it stands in the file.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Stored {
    kid: String,
    created_ms: u64,
    /// PKCS #8, base64url.
    private: String,
}

/// One key.
pub(super) struct SigningKey {
    pub(super) kid: String,
    public: [u8; 32],
    stored: Stored,
    der: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    fn new(created_ms: u64) -> Option<Self> {
        let pair = Ed25519KeyPair::generate().ok()?;
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let private = URL_SAFE_NO_PAD.encode(der.as_ref());
        Self::read(Stored { kid: Uuid::new_v4().simple().to_string(), created_ms, private })
    }

    fn read(stored: Stored) -> Option<Self> {
        let der = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(&stored.private).ok()?);
        let pair = Ed25519KeyPair::from_pkcs8(&der).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { kid: stored.kid.clone(), public, stored, der })
    }

    pub(super) fn signing(&self) -> EncodingKey {
        EncodingKey::from_ed_der(&self.der)
    }

    pub(super) fn checking(&self) -> DecodingKey {
        DecodingKey::from_ed_der(&self.public)
    }
}

/// All keys, newest first; never empty.
#[derive(Debug)]
pub(super) struct Ring {
    file: PathBuf,
    rotate_ms: u64,
    newest: SigningKey,
    older: Vec<SigningKey>,
}

impl Ring {
    pub(super) fn open(file: &Path, rotate_s: u64, now_ms: u64) -> Result<Self, RingError> {
        let damaged = || RingError::Damaged(file.to_owned());
        let stored: Vec<Stored> = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| damaged())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(RingError::Read { file: file.to_owned(), source }),
        };
        let keys = stored.into_iter().map(|one| SigningKey::read(one).ok_or_else(damaged));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?.into_iter();
        let rotate_ms = rotate_s.saturating_mul(1000);
        match keys.next() {
            Some(newest) => Ok(Self { file: file.to_owned(), rotate_ms, newest, older: keys.collect() }),
            None => {
                let newest = SigningKey::new(now_ms).ok_or(RingError::Make)?;
                let ring = Self { file: file.to_owned(), rotate_ms, newest, older: Vec::new() };
                ring.write()?;
                Ok(ring)
            }
        }
    }

    pub(super) fn rotate(&mut self, now_ms: u64) -> Result<bool, RingError> {
        if now_ms < self.newest.stored.created_ms.saturating_add(self.rotate_ms) {
            return Ok(false);
        }
        let key = SigningKey::new(now_ms).ok_or(RingError::Make)?;
        let before = std::mem::replace(&mut self.newest, key);
        self.older.insert(0, before);
        self.older.truncate(KEPT - 1);
        self.write()?;
        Ok(true)
    }

    pub(super) const fn newest(&self) -> &SigningKey {
        &self.newest
    }

    pub(super) fn named(&self, kid: &str) -> Option<&SigningKey> {
        self.all().find(|key| key.kid == kid)
    }

    pub(super) fn published(&self) -> Value {
        let keys = self.all().map(|key| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": key.kid, "x": URL_SAFE_NO_PAD.encode(key.public),
            })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    fn all(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    fn write(&self) -> Result<(), RingError> {
        let stored: Vec<&Stored> = self.all().map(|key| &key.stored).collect();
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&stored).map_err(|_| RingError::Make)?);
        write_durable(&self.file, &bytes, 0o600)?;
        Ok(())
    }
}
