//! A broker's own certificate authority and server certificate, and what is read out of certificates.
//!
//! All are ECDSA P-256 and begin 48 h in the past, for clocks that are a day or two behind. Nothing here touches a
//! file: the caller writes the PEM texts, the private ones with mode 0600.

use std::fmt;
use std::time::{Duration, SystemTime};

use inkwire_protocol::ids::Sha256Digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// Certificates begin this long before they are made.
pub const BACKDATED: Duration = Duration::from_secs(48 * 3600);
/// Lifetime of an authority.
pub const CA_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 3600);
/// Lifetime of a server certificate: the longest that Apple's systems take from a private authority.
pub const SERVER_LIFETIME: Duration = Duration::from_secs(825 * 24 * 3600);
/// When less than this remains of a server certificate, a new one is due.
pub const RENEW_BEFORE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Making it failed.
    #[error("cannot make a certificate for {what}: {source}")]
    Make {
        /// For what.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The PEM text or the certificate in it cannot be read.
    #[error("cannot read the certificate: {0}")]
    Read(String),
    /// No name to issue for.
    #[error("a server certificate needs at least one name or address")]
    NoNames,
}

/// A certificate with its private key, both as PEM. The key is wiped when dropped and never shown by `Debug`.
pub struct Issued {
    /// The certificate; for a server the authority's certificate follows it, so that a pin can be matched.
    pub certificate_pem: String,
    /// The private key (PKCS #8).
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

impl Issued {
    /// The pin of the last certificate in the chain: of the authority itself, or of the one that issued.
    pub fn pin(&self) -> Result<Sha256Digest, CertsError> {
        let chain = chain_from_pem(&self.certificate_pem)?;
        chain.last().ok_or_else(no_certificate).and_then(|certificate| spki_pin(certificate))
    }
}

/// Makes a certificate authority that is valid from 48 h before `now`, for ten years. `name` is shown to people who
/// look at the certificate; it should differ from broker to broker.
pub fn make_ca(name: &str, now: SystemTime) -> Result<Issued, CertsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = span(now, CA_LIFETIME);
    let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).and_then(|key| {
        let certificate = params.self_signed(&key)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: Zeroizing::new(key.serialize_pem()) })
    });
    made.map_err(|source| CertsError::Make { what: format!("the authority `{name}`"), source })
}

/// Issues a server certificate for `names` (DNS names and IP addresses), valid from 48 h before `now` for 825 days. The
/// chain in the result ends with the authority's certificate.
pub fn issue_server(names: &[String], ca: &Issued, now: SystemTime) -> Result<Issued, CertsError> {
    let first = names.first().ok_or(CertsError::NoNames)?;
    let failed = |source| CertsError::Make { what: names.join(", "), source };
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name = named(first);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = span(now, SERVER_LIFETIME);
    let made = KeyPair::from_pem(&ca.key_pem).and_then(|ca_key| {
        let issuer = Issuer::from_ca_cert_pem(&ca.certificate_pem, ca_key)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?;
        let chain = format!("{}{}", certificate.pem(), ca.certificate_pem);
        Ok(Issued { certificate_pem: chain, key_pem: Zeroizing::new(key.serialize_pem()) })
    });
    made.map_err(failed)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // RFC 5280 appendix A.1 bounds a common name at 64 characters.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn span<T: From<SystemTime>>(now: SystemTime, lifetime: Duration) -> (T, T) {
    let begin = now.checked_sub(BACKDATED).unwrap_or(SystemTime::UNIX_EPOCH);
    (begin.into(), (begin + lifetime).into())
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo: what a [`crate::BrokerUrl`] pins.
pub fn spki_pin(certificate: &[u8]) -> Result<Sha256Digest, CertsError> {
    parse(certificate).map(|parsed| Sha256Digest::of(parsed.public_key().raw))
}

/// The certificates of a PEM text, in their order; at least one.
pub fn chain_from_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, CertsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = read.map_err(|error| CertsError::Read(error.to_string()))?;
    if chain.is_empty() { Err(no_certificate()) } else { Ok(chain) }
}

/// From when until when a certificate is valid, since the Unix epoch (a begin before 1970 counts as 1970).
pub fn validity(certificate: &[u8]) -> Result<(Duration, Duration), CertsError> {
    let parsed = parse(certificate)?;
    let since_epoch = |timestamp: i64| Duration::from_secs(u64::try_from(timestamp).unwrap_or(0));
    let validity = parsed.validity();
    Ok((since_epoch(validity.not_before.timestamp()), since_epoch(validity.not_after.timestamp())))
}

/// Whether the first certificate of the PEM text ends within `margin` of `now`: renew it then. Ask with [`RENEW_BEFORE`].
pub fn expires_within(pem: &str, margin: Duration, now: SystemTime) -> Result<bool, CertsError> {
    let chain = chain_from_pem(pem)?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let (_, end) = validity(first)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(now + margin >= end)
}

/// Whether the first certificate of the PEM text is valid for every one of `names`: issue a new one if not.
pub fn covers(pem: &str, names: &[String]) -> Result<bool, CertsError> {
    let chain = chain_from_pem(pem)?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let parsed = rustls::server::ParsedCertificate::try_from(first);
    let parsed = parsed.map_err(|error| CertsError::Read(error.to_string()))?;
    let covered = |name: &String| {
        rustls_pki_types::ServerName::try_from(name.as_str())
            .is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
    };
    Ok(names.iter().all(covered))
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, CertsError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| CertsError::Read(error.to_string()))?;
    Ok(parsed)
}

fn no_certificate() -> CertsError {
    CertsError::Read("the text holds no PEM block `CERTIFICATE`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_chain_has_server_and_authority_and_the_authoritys_pin() {
        let now = SystemTime::now();
        let ca = make_ca("Inkwire at home", now).unwrap();
        let server = issue_server(&names(&["localhost", "::1", "10.0.0.1"]), &ca, now).unwrap();
        let chain = chain_from_pem(&server.certificate_pem).unwrap();
        assert_eq!(chain.len(), 2);
        assert_eq!(server.pin().unwrap(), ca.pin().unwrap());
        assert_eq!(spki_pin(&chain[1]).unwrap(), ca.pin().unwrap());
        assert_ne!(spki_pin(&chain[0]).unwrap(), ca.pin().unwrap());
        assert!(covers(&server.certificate_pem, &names(&["10.0.0.1", "::1", "localhost"])).unwrap());
        assert!(!covers(&server.certificate_pem, &names(&["localhost", "10.0.0.2"])).unwrap());
        assert!(matches!(issue_server(&[], &ca, now), Err(CertsError::NoNames)));
        assert!(!format!("{server:?}").contains("PRIVATE"));
    }

    #[test]
    fn certificates_begin_in_the_past_and_are_renewed_in_time() {
        let now = SystemTime::now();
        let ca = make_ca("Inkwire", now).unwrap();
        let server = issue_server(&names(&["b.example"]), &ca, now).unwrap();
        let (begin, end) = validity(&chain_from_pem(&server.certificate_pem).unwrap()[0]).unwrap();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(begin.as_secs(), (since - BACKDATED).as_secs());
        assert_eq!((end - begin).as_secs(), SERVER_LIFETIME.as_secs());
        let due = |at| expires_within(&server.certificate_pem, RENEW_BEFORE, at).unwrap();
        assert!(!due(now) && due(now + SERVER_LIFETIME) && due(now + SERVER_LIFETIME - RENEW_BEFORE));
        assert!(!expires_within(&ca.certificate_pem, RENEW_BEFORE, now + 8 * SERVER_LIFETIME / 2).unwrap());
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        assert!(chain_from_pem("").is_err());
        assert!(chain_from_pem("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").is_err());
        assert!(spki_pin(b"\x30\x00").is_err() && validity(b"").is_err());
    }
}
