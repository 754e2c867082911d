//! Certificates of `ipps` printers: they are self-signed, so the first one seen is pinned and a change stops the printer.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use inkwire_protocol::ids::Sha256Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// The file in the state directory: `{"host:port": "sha256 of the certificate", ...}`.
const FILE: &str = "printer-certificates.json";

/// One at a time: every printer of the process writes the same file.
static WRITING: Mutex<()> = Mutex::new(());

/// The pins of all printers of this agent.
#[derive(Debug, Clone)]
pub(super) struct Pins {
    path: PathBuf,
}

impl Pins {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE) }
    }

    fn load(&self) -> io::Result<BTreeMap<String, Sha256Digest>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.unreadable(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Not taken for empty: then every changed certificate would be trusted again.
    fn unreadable(&self, error: &serde_json::Error) -> io::Error {
        io::Error::other(format!("{} cannot be read ({error}); repair or remove it", self.path.display()))
    }

    /// Returns when the pin is on stable storage.
    fn remember(&self, printer: &str, certificate: Sha256Digest) -> io::Result<()> {
        let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pins = self.load()?;
        pins.insert(printer.to_owned(), certificate);
        let part = self.path.with_extension("json.part");
        let mut file = std::fs::File::create(&part)?;
        file.write_all(serde_json::to_string_pretty(&pins)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)?;
        sync_parent(&self.path)
    }
}

#[cfg(unix)]
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}

#[cfg(not(unix))]
fn sync_parent(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The trust in one printer.
#[derive(Debug)]
pub(super) struct Trust {
    printer: String,
    configured: Option<Sha256Digest>,
    pins: Pins,
    expected: Mutex<Option<Sha256Digest>>,
    /// What the printer showed instead, the last time.
    stranger: Mutex<Option<Sha256Digest>>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// `printer` is its `host:port`.
    pub(super) fn new(printer: String, configured: Option<Sha256Digest>, pins: Pins) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let empty = || Mutex::new(None);
        Arc::new(Self { printer, configured, pins, expected: empty(), stranger: empty(), provider })
    }

    /// A configuration that trusts as this does.
    pub(super) fn client_config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(self) as _;
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }

    /// Reads the pin. Call before each connection, off the event loop.
    pub(super) fn load(&self) -> io::Result<()> {
        let expected = match self.configured {
            Some(pin) => Some(pin),
            None => self.pins.load()?.get(&self.printer).copied(),
        };
        set(&self.expected, expected);
        set(&self.stranger, None);
        Ok(())
    }

    /// Pins what a connection showed that was made without a pin. Call before the first byte is given, off the event loop.
    pub(super) fn pin(&self, shown: &[CertificateDer<'_>]) -> io::Result<()> {
        if get(&self.expected).is_some() {
            return Ok(());
        }
        let Some(certificate) = shown.first() else {
            return Err(io::Error::other("the printer showed no certificate"));
        };
        self.pins.remember(&self.printer, Sha256Digest::of(certificate))
    }

    /// Why the last handshake was refused, if it was for another certificate.
    pub(super) fn change(&self) -> Option<String> {
        let shown = get(&self.stranger)?;
        let remedy = match self.configured {
            Some(_) => "if that is right, change `certificate_sha256` in its configuration".to_owned(),
            None => format!("if that is right, remove its line from {}", self.pins.path.display()),
        };
        Some(format!("{} shows another certificate than before, SHA-256 {shown}; {remedy}", self.printer))
    }
}

fn set(place: &Mutex<Option<Sha256Digest>>, value: Option<Sha256Digest>) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

fn get(place: &Mutex<Option<Sha256Digest>>) -> Option<Sha256Digest> {
    *place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerCertVerifier for Trust {
    /// Neither name nor dates: what counts is that it is the certificate of the first time. That the printer holds its key
    /// is checked by the signatures below.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Sha256Digest::of(end_entity);
        match get(&self.expected) {
            Some(expected) if expected != shown => {
                set(&self.stranger, Some(shown));
                Err(Error::General("the printer's certificate has changed".into()))
            }
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
