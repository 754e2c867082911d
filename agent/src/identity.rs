//! Who the agent is: its device key and what the broker called it when it was paired.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_protocol::ids::{AgentId, Sha256Digest};
use inkwire_service::fsio;
use inkwire_transport::BrokerUrl;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// `identity.json` in the state directory.
pub(crate) const IDENTITY_FILE: &str = "identity.json";
/// `device.key`: Ed25519, PKCS#8, readable by its owner only.
pub(crate) const KEY_FILE: &str = "device.key";
/// `agent.lock`: taken while a process uses the state directory.
pub(crate) const LOCK_FILE: &str = "agent.lock";

/// Why the state directory gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It was never paired.
    #[error("{0} holds no identity: run `inkwire agent pair URL` first (the broker prints the URL)")]
    NotPaired(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is damaged ({problem}): pair again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another process uses the state directory.
    #[error("another agent runs with {0}: stop it, or give this one its own state directory")]
    InUse(PathBuf),
    /// The system's cryptography does not work.
    #[error("no device key can be made")]
    Crypto,
}

/// What the broker told at pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) agent: AgentId,
    pub(crate) agent_name: String,
    pub(crate) account_name: String,
    /// The broker's URL with its pin.
    pub(crate) url: String,
    /// SHA-256 of the device's public key: tells a key that belongs to another pairing.
    pub(crate) fingerprint: Sha256Digest,
}

/// The device's key pair.
pub(crate) struct DeviceKey {
    pair: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl DeviceKey {
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| IdentityError::Crypto)?;
        let document = pair.to_pkcs8v1().map_err(|_| IdentityError::Crypto)?;
        Ok(Self { pair, pkcs8: Zeroizing::new(document.as_ref().to_vec()) })
    }

    fn parse(pkcs8: Vec<u8>) -> Option<Self> {
        let pkcs8 = Zeroizing::new(pkcs8);
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).ok()?;
        Some(Self { pair, pkcs8 })
    }

    /// The private key, for signing dial tokens.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as `pair` sends it.
    pub(crate) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())
    }

    /// SHA-256 of the public key: what the person who approves compares.
    pub(crate) fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::of(self.pair.public_key().as_ref())
    }

    /// A signature, base64url.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(message).as_ref())
    }
}

/// Takes the state directory for this process, makes it if need be; it is free again when the value is dropped.
pub(crate) fn lock(state_dir: &Path) -> Result<File, IdentityError> {
    let path = state_dir.join(LOCK_FILE);
    let failed = |source| IdentityError::File { path: path.clone(), source };
    fsio::create_dir_durable(state_dir, 0o700).map_err(|error| failed(error.source))?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(IdentityError::InUse(state_dir.into())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Writes a new identity. The key first: an identity without its key would be of no use.
pub(crate) fn store(state_dir: &Path, key: &DeviceKey, identity: &Identity) -> Result<(), IdentityError> {
    let text = serde_json::to_vec_pretty(identity).map_err(|error| IdentityError::Damaged {
        path: state_dir.join(IDENTITY_FILE),
        problem: error.to_string(),
    })?;
    for (name, bytes) in [(KEY_FILE, key.pkcs8()), (IDENTITY_FILE, &text)] {
        let path = state_dir.join(name);
        fsio::write_durable(&path, bytes, 0o600)
            .map_err(|error| IdentityError::File { path, source: error.source })?;
    }
    Ok(())
}

/// Reads the identity and its key.
pub(crate) fn load(state_dir: &Path) -> Result<(Identity, DeviceKey, BrokerUrl), IdentityError> {
    let path = state_dir.join(IDENTITY_FILE);
    let damaged = |path: &Path, problem: String| IdentityError::Damaged { path: path.into(), problem };
    let text = read(&path, state_dir)?;
    let identity: Identity =
        serde_json::from_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
    let url = identity.url.parse::<BrokerUrl>().map_err(|error| damaged(&path, error.to_string()))?;
    let key_path = state_dir.join(KEY_FILE);
    let key = DeviceKey::parse(read(&key_path, state_dir)?)
        .ok_or_else(|| damaged(&key_path, "not an Ed25519 key".into()))?;
    if key.fingerprint() != identity.fingerprint {
        return Err(damaged(&key_path, "the key is not the one that was paired".into()));
    }
    Ok((identity, key, url))
}

fn read(path: &Path, state_dir: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            IdentityError::NotPaired(state_dir.into())
        } else {
            IdentityError::File { path: path.into(), source }
        }
    })
}

/// The PC's name, as others see it.
pub(crate) fn hostname() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    name.chars().take(inkwire_protocol::limits::MAX_NAME_CHARS).collect()
}

/// Operating system and architecture, as `linux-x86_64`.
pub(crate) fn os() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(key: &DeviceKey) -> Identity {
        Identity {
            agent: AgentId::from_uuid(uuid::Uuid::from_u128(1)),
            agent_name: "till".into(),
            account_name: "default".into(),
            url: "https://broker.example:8443/".into(),
            fingerprint: key.fingerprint(),
        }
    }

    #[test]
    fn an_identity_survives_and_belongs_to_its_key() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::NotPaired(_))));
        let key = DeviceKey::generate().unwrap();
        store(dir.path(), &key, &identity(&key)).unwrap();
        let (loaded, again, _) = load(dir.path()).unwrap();
        assert_eq!((loaded, again.public()), (identity(&key), key.public()));

        let other = DeviceKey::generate().unwrap();
        std::fs::write(dir.path().join(KEY_FILE), other.pkcs8()).unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::Damaged { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let key = DeviceKey::generate().unwrap();
        store(dir.path(), &key, &identity(&key)).unwrap();
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_state_directory_is_one_process_s() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(IdentityError::InUse(_))));
        drop(held);
        assert!(lock(dir.path()).is_ok());
    }
}
