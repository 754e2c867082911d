//! What the broker itself dials because an app named a URL: documents to fetch, webhooks to call.
//!
//! ```text
//!  URL ─ target (scheme, port, no credentials) ─▶ resolve ─▶ every address judged ─▶ connect to that very address ─▶ TLS ─▶ HTTP/1.1
//!                     ▲───────────────── redirect (at most 5, none from https to http) ◀────────────────────────────────┘
//! ```
//!
//! Nothing is resolved twice, so a name cannot answer differently after it was judged. Proxies of the environment are not used.

mod address;
mod connect;
mod fetch;
mod resolve;
mod target;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub(crate) use connect::Wire;
pub(crate) use resolve::{Resolve, SystemResolver};
pub(crate) use target::Target;

/// What the configuration says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutboundRules {
    /// Networks that may be reached although they are not public.
    pub(crate) allow: Vec<IpNet>,
    /// Ports that may be reached; empty means any.
    pub(crate) ports: Vec<u16>,
    /// PEM files of certificate authorities that are trusted besides the platform's.
    pub(crate) ca: Vec<PathBuf>,
}

/// Why something was not reached, or not as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The URL itself.
    #[error("{0}")]
    Url(String),
    /// It leads to where the broker must not go.
    #[error(
        "{host} is {address}, which is not public: the broker's operator may allow it by `outbound.allow`"
    )]
    Forbidden { host: String, address: IpAddr },
    /// The name.
    #[error("{host} cannot be resolved: {source}")]
    Resolve { host: String, source: io::Error },
    /// No connection.
    #[error("{origin} cannot be reached: {source}")]
    Connect { origin: String, source: io::Error },
    /// No trust.
    #[error("TLS with {origin}: {source}")]
    Tls { origin: String, source: io::Error },
    /// Our own side of TLS.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// HTTP.
    #[error("{origin} does not answer as HTTP says: {}", chain(.source))]
    Http { origin: String, source: hyper::Error },
    /// Time.
    #[error("{origin} took longer than {seconds} s")]
    TimedOut { origin: String, seconds: u64 },
    /// Round and round.
    #[error("{0} redirects too often")]
    Redirects(String),
    /// Another answer than a document.
    #[error("{origin} answered {status}")]
    Status { origin: String, status: u16 },
    /// Size.
    #[error("the document is larger than {0} bytes")]
    TooLarge(u64),
}

impl OutboundError {
    /// Whether it may go well another time, without anybody's doing.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Http { .. } | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Url(_)
            | Self::Forbidden { .. }
            | Self::Tls { .. }
            | Self::Setup(_)
            | Self::Redirects(_)
            | Self::TooLarge(_) => false,
        }
    }

    /// A keyword for reasons and logs.
    pub(crate) const fn keyword(&self) -> &'static str {
        match self {
            Self::Url(_) => "url-refused",
            Self::Forbidden { .. } => "address-refused",
            Self::Resolve { .. } | Self::Connect { .. } => "unreachable",
            Self::Tls { .. } | Self::Setup(_) => "tls-failed",
            Self::Http { .. } => "http-broken",
            Self::TimedOut { .. } => "timed-out",
            Self::Redirects(_) => "too-many-redirects",
            Self::Status { .. } => "http-status",
            Self::TooLarge(_) => "too-large",
        }
    }
}

/// An error with its causes: hyper's own words alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The way out; one for all.
pub(crate) struct Outbound {
    rules: OutboundRules,
    resolver: Arc<dyn Resolve>,
    /// Made when it is first needed: a broker that reaches nobody needs no roots.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Outbound {
    pub(crate) fn new(rules: OutboundRules, resolver: Arc<dyn Resolve>) -> Self {
        Self { rules, resolver, tls: OnceLock::new() }
    }

    /// Whether a URL would be taken, as far as it can be said without reaching it: an address in it is judged at once.
    pub(crate) fn check(&self, url: &str) -> Result<Target, OutboundError> {
        let target = Target::read(url, &self.rules.ports)?;
        if let Ok(address) = target.host().parse() {
            self.judge(&target.host(), address)?;
        }
        Ok(target)
    }

    fn judge(&self, host: &str, address: IpAddr) -> Result<(), OutboundError> {
        if address::may_reach(address, &self.rules.allow) {
            return Ok(());
        }
        Err(OutboundError::Forbidden { host: host.to_owned(), address })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, OutboundError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let setup = |error: &dyn fmt::Display| OutboundError::Setup(error.to_string());
        let mut extra = Vec::new();
        for path in &self.rules.ca {
            let named = |error| OutboundError::Setup(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(named)? {
                extra.push(certificate.map_err(named)?);
            }
        }
        let provider = inkwire_transport::provider();
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone());
        let verifier = verifier.map_err(|error| setup(&error))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}
