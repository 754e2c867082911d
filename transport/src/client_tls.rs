//! What a dialler trusts, as a rustls configuration.

use std::sync::Arc;

use inkwire_protocol::ids::Sha256Digest;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::clock::ClockOffset;
use crate::limits::CLIENT_SESSIONS;
use crate::url::BrokerUrl;
use crate::verify::PinnedVerifier;

/// By what a broker proves that it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Its chain contains the certificate with this public key and nothing else is asked; no system trust store is read.
    Pinned {
        /// SHA-256 of the authority's SubjectPublicKeyInfo.
        pin: Sha256Digest,
    },
    /// The platform's roots vouch for it.
    Platform,
}

impl Trust {
    /// The pin where the URL has one, else the platform.
    pub fn of(url: &BrokerUrl) -> Self {
        url.pin().map_or(Self::Platform, |pin| Self::Pinned { pin })
    }
}

/// No TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsSetupError(#[from] rustls::Error);

/// The configuration for dialling: TLS 1.2 and 1.3, `http/1.1`, sessions remembered in memory within the
/// returned value. Make it once and clone the `Arc` for every dial, so that a redial resumes its session.
pub fn client_config(trust: Trust, clock: Arc<ClockOffset>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = crate::provider();
    let mut config = match trust {
        Trust::Pinned { pin } => {
            let verifier = PinnedVerifier::new(pin, clock, Arc::clone(&provider));
            ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
        Trust::Platform => ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
    Ok(Arc::new(config))
}
