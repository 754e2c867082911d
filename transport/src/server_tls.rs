//! A broker's TLS configuration, which can be exchanged while connections go on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use inkwire_protocol::ids::Sha256Digest;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::certs::{self, CertsError, Issued};
use crate::limits::{MAX_PEM_BYTES, TICKETS};

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: the authority's certificate, presented last if the chain does not already end with it, so that a pin can be matched.
    pub authority: Option<PathBuf>,
}

/// The server's certificate cannot be used. What was in use stays in use.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no usable certificate: {source}", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: CertsError,
    },
    /// The key is not there or not readable.
    #[error("{} holds no usable private key (PEM, PKCS #8, SEC 1 or PKCS #1): {reason}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why; never a part of the key.
        reason: String,
    },
    /// Certificate and key do not belong together, or TLS refuses them.
    #[error("certificate and key cannot be used together: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The current [`ServerConfig`]: TLS 1.2 and 1.3, `http/1.1`, resumption by tickets alone (no session is stored). The
/// ticket keys outlive a reload, so that agents resume across it.
pub struct ServerTls {
    current: RwLock<Current>,
    ticketer: Arc<dyn ProducesTickets>,
    files: Option<TlsFiles>,
}

struct Current {
    config: Arc<ServerConfig>,
    pem: String,
    pin: Sha256Digest,
    valid: (Duration, Duration),
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files. They are read again by [`ServerTls::reload`].
    pub fn load(files: TlsFiles) -> Result<Self, ServerTlsError> {
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        let (pem, key) = read(&files)?;
        let current = Current::new(pem, &key, &files, &ticketer)?;
        Ok(Self { current: RwLock::new(current), ticketer, files: Some(files) })
    }

    /// Takes a certificate that was just made; for tests and demonstrations, nothing to reload.
    pub fn from_issued(issued: &Issued) -> Result<Self, ServerTlsError> {
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        let memory = || PathBuf::from("(memory)");
        let names = TlsFiles { certificate: memory(), key: memory(), authority: None };
        let current = Current::new(issued.certificate_pem.clone(), &issued.key_pem, &names, &ticketer)?;
        Ok(Self { current: RwLock::new(current), ticketer, files: None })
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read().config)
    }

    /// The pin of the last certificate presented: with an own authority, that authority's.
    pub fn pin(&self) -> Sha256Digest {
        self.read().pin
    }

    /// From when until when the server's certificate is valid, since the Unix epoch.
    pub fn validity(&self) -> (Duration, Duration) {
        self.read().valid
    }

    /// Whether the server's certificate ends within `margin` of `now`.
    pub fn expires_within(&self, margin: Duration, now: SystemTime) -> bool {
        now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + margin >= self.validity().1
    }

    /// Reads the files again. `Ok(true)`: new connections get the new certificate; `Ok(false)`: it is the same as before.
    /// On an error the old one stays in use.
    pub fn reload(&self) -> Result<bool, ServerTlsError> {
        let Some(files) = &self.files else { return Ok(false) };
        let (pem, key) = read(files)?;
        if pem == self.read().pem {
            return Ok(false);
        }
        let new = Current::new(pem, &key, files, &self.ticketer)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new(
        pem: String,
        key: &str,
        files: &TlsFiles,
        ticketer: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, ServerTlsError> {
        let unusable = |source| ServerTlsError::Certificate { path: files.certificate.clone(), source };
        let chain = certs::chain_from_pem(&pem).map_err(unusable)?;
        let (first, last) = match chain.as_slice() {
            [only] => (only, only),
            [first, .., last] => (first, last),
            [] => return Err(unusable(CertsError::Read("it is empty".into()))),
        };
        let (valid, pin) =
            (certs::validity(first).map_err(unusable)?, certs::spki_pin(last).map_err(unusable)?);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| ServerTlsError::Key { path: files.key.clone(), reason: error.to_string() })?;
        let mut config = ServerConfig::builder_with_provider(crate::provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(ticketer);
        config.send_tls13_tickets = TICKETS;
        Ok(Self { config: Arc::new(config), pem, pin, valid })
    }
}

/// The chain with the authority at its end, and the key.
fn read(files: &TlsFiles) -> Result<(String, Zeroizing<String>), ServerTlsError> {
    let mut pem = read_file(&files.certificate)?;
    let key = Zeroizing::new(read_file(&files.key)?);
    if let Some(path) = &files.authority {
        let authority = read_file(path)?;
        let of = |path: &Path, pem: &str| {
            let path = path.to_owned();
            certs::chain_from_pem(pem).map_err(|source| ServerTlsError::Certificate { path, source })
        };
        let (chain, last) = (of(&files.certificate, &pem)?, of(path, &authority)?);
        if !last.iter().all(|certificate| chain.contains(certificate)) {
            if !pem.ends_with('\n') {
                pem.push('\n');
            }
            pem.push_str(&authority);
        }
    }
    Ok((pem, key))
}

fn read_file(path: &Path) -> Result<String, ServerTlsError> {
    use io::Read as _;
    let failed = |source| ServerTlsError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_PEM_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
