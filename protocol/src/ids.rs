//! Names of things, each a type of its own.
//!
//! Ids that people and apps see are UUIDs (version 7: they sort by time and need no local counter).
//! They are made by the shells, which own chance; here they are only parsed and printed.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: expected {expected}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl IdError {
    pub(crate) fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        // What a stranger sent is quoted, but never at length.
        Self { kind, text: text.chars().take(64).collect(), expected }
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that the caller made (version 7) or read.
            pub const fn from_uuid(uuid: Uuid) -> Self { Self(uuid) }
            /// The UUID itself.
            pub const fn uuid(self) -> Uuid { self.0 }
            /// The 16 bytes of the UUID, as the stores keep it.
            pub const fn as_bytes(&self) -> &[u8; 16] { self.0.as_bytes() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", $kind, self.0) }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError::new(concat!($kind, " id"), text, "a UUID"))
            }
        }
    )*};
}

uuid_id! {
    /// A tenant: owns agents, printers, jobs, keys and events; nothing of one is visible to another.
    AccountId, "account";
    /// A person who signs in.
    UserId, "user";
    /// An API key (its id, never its secret).
    KeyId, "key";
    /// A person's sign-in, which lasts until they sign out or it expires.
    LoginId, "login";
    /// An enrolment token (its id, never its secret).
    EnrolmentId, "enrolment";
    /// An agent: one installation on one PC, known by its device key.
    AgentId, "agent";
    /// A printer of an agent; stable for as long as the agent calls it by the same name.
    PrinterId, "printer";
    /// A job: one document for one printer.
    JobId, "job";
    /// A document as stored by the broker.
    DocumentId, "document";
    /// An agent's spool; made with its ledger, so that another value means another (or an older) spool.
    SpoolId, "spool";
    /// One start of an agent process; two that alternate are two PCs with one identity.
    InstanceId, "instance";
    /// A store's incarnation: another value after a restore from a backup.
    StoreEpoch, "store epoch";
    /// A webhook: an URL that an account's events are sent to.
    WebhookId, "webhook";
    /// One request to a webhook.
    DeliveryId, "delivery";
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($int:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
    )*};
}

number! {
    /// A printer's number on its agent (the source's "printer port number"); two agents may use the same one.
    PrinterNumber(u16);
    /// Which try at delivering a job this is; 1 is the first. 0 stands for "not yet tried".
    Attempt(u32);
    /// Grows by one with every session an agent begins; frames of an older epoch change nothing.
    Epoch(u64);
    /// A channel number on one connection; names a transfer only together with `open`.
    TransferId(u32);
    /// Orders the facts of one (job, attempt); 1 is the first.
    FactSeq(u32);
    /// The position of an event in its account's log; 1 is the first, there are no gaps.
    EventOffset(u64);
}

impl Attempt {
    /// The try after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The epoch of the session after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The opaque 256-bit secret by which a session is taken up again from wherever the agent now is.
///
/// On the wire it is 43 characters of unpadded base64url. It has no `Debug` that shows it, is compared in
/// constant time and wiped when dropped. Stores keep only [`SessionToken::digest`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// Takes 32 random bytes from the caller, who owns chance.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of the token: what registries are keyed by and stores keep.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }

    /// The text form, for the wire and the agent's own state file only.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(masked)")
    }
}

impl PartialEq for SessionToken {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

impl Eq for SessionToken {}

impl FromStr for SessionToken {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        // The text is a secret: the error must not quote it.
        bytes.map(Self).ok_or_else(|| IdError::new("session token", "(masked)", "43 characters of base64url"))
    }
}

impl Serialize for SessionToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for SessionToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a broker signs for itself when it acknowledges a fact: in which incarnation of its store it had counted how many facts of
/// which agent. To the agent it is 64 opaque characters of unpadded base64url that it gives back in `hello`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AckReceipt([u8; 48]);

impl AckReceipt {
    /// Of this incarnation, with this code over it and over what was counted.
    pub fn new(store_epoch: StoreEpoch, code: [u8; 32]) -> Self {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(store_epoch.uuid().as_bytes());
        bytes[16..].copy_from_slice(&code);
        Self(bytes)
    }

    /// The incarnation that it says it is of; true only if the code is.
    pub fn store_epoch(&self) -> StoreEpoch {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        StoreEpoch::from_uuid(Uuid::from_bytes(bytes))
    }

    /// The authentication code, which only the broker's key can make.
    pub fn code(&self) -> &[u8] {
        &self.0[16..]
    }
}

impl fmt::Display for AckReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for AckReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AckReceipt(of {:?})", self.store_epoch())
    }
}

impl FromStr for AckReceipt {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 48]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| IdError::new("receipt", text, "64 characters of base64url"))
    }
}

impl Serialize for AckReceipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AckReceipt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 digest; 64 lowercase hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Sha256Digest(
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$")))] [u8; 32],
);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a digest that was computed elsewhere, for example over a stream.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for Sha256Digest {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::new("SHA-256 digest", text, "64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_text_and_refuses_others() {
        let digest = Sha256Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Sha256Digest>(), Ok(digest));
        assert!("ba78".parse::<Sha256Digest>().is_err());
        assert!("zz".repeat(32).parse::<Sha256Digest>().is_err());
        assert!("é".repeat(32).parse::<Sha256Digest>().is_err());
    }

    #[test]
    fn a_session_token_never_shows_itself() {
        let token = SessionToken::from_bytes([7; 32]);
        assert_eq!(format!("{token:?}"), "SessionToken(masked)");
        assert_eq!(token.reveal().parse::<SessionToken>().unwrap(), token);
        let error = "c2VjcmV0".parse::<SessionToken>().unwrap_err();
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn a_receipt_survives_its_text_and_refuses_others() {
        let epoch = StoreEpoch::from_uuid(Uuid::from_u128(5));
        let receipt = AckReceipt::new(epoch, [9; 32]);
        assert_eq!(receipt.to_string().len(), 64);
        assert_eq!(receipt.to_string().parse(), Ok(receipt));
        assert_eq!((receipt.store_epoch(), receipt.code()), (epoch, &[9; 32][..]));
        assert!("AAAA".parse::<AckReceipt>().is_err() && "?".repeat(64).parse::<AckReceipt>().is_err());
    }

    #[test]
    fn an_id_error_names_the_kind_and_quotes_briefly() {
        let error = "x".repeat(5000).parse::<JobId>().unwrap_err().to_string();
        assert!(error.contains("job id") && error.len() < 200, "{error}");
    }
}
