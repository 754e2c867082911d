//! How a broker's certificate is judged by the pinned key of its authority.
//!
//! The chain must contain a certificate whose SubjectPublicKeyInfo has the pinned SHA-256; it becomes the only
//! trust anchor, and webpki checks name, usage and signatures. No system trust store is read. Where nothing but the time is
//! wrong and no broker has yet told the time, the chain is accepted: the PC's clock is as likely wrong as the
//! certificate. Whoever dialled checks the validity again ([`crate::PeerCertificates`]) once the time is known.

use std::sync::Arc;

use inkwire_protocol::ids::Sha256Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certs::{self, spki_pin};
use crate::clock::ClockOffset;

/// The chain holds no certificate with the pinned key: this is another broker, or somebody in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the broker presented no certificate with the pinned key {pinned}: pair again if its authority was replaced, \
     otherwise something between here and the broker answers in its place"
)]
pub struct PinMismatch {
    /// The pin that was looked for.
    pub pinned: Sha256Digest,
}

#[derive(Debug)]
pub(crate) struct PinnedVerifier {
    pin: Sha256Digest,
    clock: Arc<ClockOffset>,
    provider: Arc<CryptoProvider>,
}

impl PinnedVerifier {
    pub(crate) fn new(pin: Sha256Digest, clock: Arc<ClockOffset>, provider: Arc<CryptoProvider>) -> Self {
        Self { pin, clock, provider }
    }

    /// The store with the pinned certificate alone.
    fn anchors(
        &self,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<RootCertStore, Error> {
        let presented = std::iter::once(end_entity).chain(others);
        let mismatch = || other(PinMismatch { pinned: self.pin });
        let authority = presented
            .into_iter()
            .find(|certificate| spki_pin(certificate).is_ok_and(|pin| pin == self.pin))
            .ok_or_else(mismatch)?;
        let anchor = webpki::anchor_from_trusted_cert(authority).map_err(|error| other(Unusable(error)))?;
        Ok(RootCertStore { roots: vec![anchor.to_owned()] })
    }

    fn check_path(
        &self,
        end_entity: &ParsedCertificate<'_>,
        others: &[CertificateDer<'_>],
        anchors: &RootCertStore,
        time: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(end_entity, anchors, others, time, algorithms)
    }
}

/// The pinned certificate is there, but cannot serve as an authority.
#[derive(Debug, thiserror::Error)]
#[error("the pinned certificate cannot be used: {0}")]
struct Unusable(webpki::Error);

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// Whether the error says only that the time is not right.
pub(crate) fn is_only_time(error: &Error) -> bool {
    use CertificateError as E;
    matches!(
        error,
        Error::InvalidCertificate(
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. }
        )
    )
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime, // the system's clock; ours is asked below
    ) -> Result<ServerCertVerified, Error> {
        let anchors = self.anchors(end_entity, intermediates)?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_name(&parsed, server_name)?;

        let [first, second] = self.clock.candidates();
        let mut checked = self.check_path(&parsed, intermediates, &anchors, first);
        if checked.as_ref().is_err_and(is_only_time) {
            checked = self.check_path(&parsed, intermediates, &anchors, second);
        }
        if checked.as_ref().is_err_and(is_only_time) && !self.clock.is_corrected() {
            // Everything else must hold: judged at an instant at which the certificate certainly is valid.
            let (begin, _) = certs::validity(end_entity).map_err(other)?;
            checked = self.check_path(&parsed, intermediates, &anchors, UnixTime::since_unix_epoch(begin));
        }
        checked.map(|()| ServerCertVerified::assertion())
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
