//! `[api]` and `[[issuer]]`: from what people write to what is used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::app::Scope;
use inkwire_transport::{ClockOffset, Trust, client_config};
use jsonwebtoken::Algorithm;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::ConfigError;
use super::raw::{RawApi, RawIssuer};
use crate::auth::issuers::{AccountFrom, Issuer, Scopes, Source};
use crate::auth::origin;
use crate::limits::{MAX_TOKEN_GRACE, ROTATE_TOKEN_KEYS, TOKEN_GRACE};

/// Checked `[api]`.
#[derive(Debug, Clone)]
pub(crate) struct ApiConfig {
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) rotate_token_keys_s: u64,
    pub(crate) token_grace: Duration,
}

pub(super) fn check_api(raw: &RawApi) -> Result<ApiConfig, ConfigError> {
    let wrong = raw.allowed_origins.iter().find(|text| origin::normal(text).is_none());
    if let Some(text) = wrong {
        return Err(ConfigError::Origin(text.clone()));
    }
    let allowed = raw.allowed_origins.iter().filter_map(|text| origin::normal(text));
    let rotate = raw.rotate_token_keys_s.unwrap_or(ROTATE_TOKEN_KEYS.as_secs());
    if rotate < 3600 {
        let range = "at least 3600: what was signed must outlive its key";
        return Err(ConfigError::Range { key: "api.rotate_token_keys_s", value: rotate, range });
    }
    let grace = raw.token_grace_s.unwrap_or(TOKEN_GRACE.as_secs());
    if grace > MAX_TOKEN_GRACE.as_secs() {
        let range = "at most 600: longer ones are no grace";
        return Err(ConfigError::Range { key: "api.token_grace_s", value: grace, range });
    }
    let (allowed_origins, token_grace) = (allowed.collect(), Duration::from_secs(grace));
    Ok(ApiConfig { allowed_origins, rotate_token_keys_s: rotate, token_grace })
}

pub(super) fn check_issuers(raw: Vec<RawIssuer>) -> Result<Vec<Issuer>, ConfigError> {
    let issuers = raw.into_iter().map(check_issuer).collect::<Result<Vec<_>, _>>()?;
    for (at, issuer) in issuers.iter().enumerate() {
        if issuers[..at].iter().any(|before| before.issuer == issuer.issuer) {
            return Err(wrong(&issuer.issuer, "there are two of this name".to_owned()));
        }
    }
    Ok(issuers)
}

fn wrong(issuer: &str, what: String) -> ConfigError {
    ConfigError::Issuer { issuer: issuer.to_owned(), what }
}

fn check_issuer(raw: RawIssuer) -> Result<Issuer, ConfigError> {
    let wrong = |what: &str| wrong(&raw.issuer, what.to_owned());
    if raw.issuer.is_empty() || raw.audience.is_empty() {
        return Err(wrong("`issuer` and `audience` must not be empty"));
    }
    let algorithms = raw.algorithms.iter().map(|name| match name.as_str() {
        "EdDSA" => Ok(Algorithm::EdDSA),
        "ES256" => Ok(Algorithm::ES256),
        "RS256" => Ok(Algorithm::RS256),
        other => Err(wrong(&format!("`{other}` in `algorithms`: EdDSA, ES256 and RS256 are known"))),
    });
    let algorithms = algorithms.collect::<Result<Vec<_>, _>>()?;
    let account = match raw.account.split_once(':') {
        Some(("claim", claim)) if !claim.is_empty() => AccountFrom::Claim(claim.to_owned()),
        Some(("claim", _)) => return Err(wrong("`account` names no claim: write `claim:NAME`")),
        Some(_) | None if raw.account.is_empty() => return Err(wrong("`account` is empty")),
        Some(_) | None => AccountFrom::Fixed(raw.account.clone()),
    };
    if raw.scope.is_none() && (raw.scope_claim.is_none() || raw.scopes.is_empty()) {
        return Err(wrong("nobody could do anything: give `scope`, or `scope_claim` and `[issuer.scopes]`"));
    }
    let table: Vec<(String, Scope)> = raw.scopes.clone().into_iter().collect();
    Ok(Issuer {
        source: source(&raw)?,
        algorithms: if algorithms.is_empty() { vec![Algorithm::EdDSA, Algorithm::ES256] } else { algorithms },
        account,
        scopes: Scopes { claim: raw.scope_claim, table, otherwise: raw.scope },
        refresh: Duration::from_secs(raw.refresh_s.unwrap_or(60)),
        issuer: raw.issuer,
        audience: raw.audience,
    })
}

fn source(raw: &RawIssuer) -> Result<Source, ConfigError> {
    let wrong = |what: String| wrong(&raw.issuer, what);
    let Ok(url) = Url::parse(&raw.jwks) else {
        let path = PathBuf::from(&raw.jwks);
        return match path.is_absolute() {
            true => Ok(Source::File(path)),
            false => {
                Err(wrong(format!("`jwks`: `{}` is neither an https URL nor an absolute path", raw.jwks)))
            }
        };
    };
    let local = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let usable = url.scheme() == "https" || (url.scheme() == "http" && local);
    if !usable || !url.has_host() || !url.username().is_empty() {
        return Err(wrong(format!("`jwks`: {url} must be https, or http at a loopback address")));
    }
    let tls = match &raw.ca {
        Some(file) => own_roots(file).map_err(|error| wrong(format!("`ca`: {}: {error}", file.display())))?,
        None => client_config(Trust::Platform, Arc::new(ClockOffset::new()))
            .map_err(|error| wrong(error.to_string()))?,
    };
    Ok(Source::Url { url, tls })
}

fn own_roots(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    let config = ClientConfig::builder_with_provider(inkwire_transport::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
