//! The configuration as people write it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use inkwire_protocol::app::Scope;
use serde::Deserialize;

/// The configuration as written (TOML). Every key may be left out but `data_dir`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// The folder that holds store, documents, certificates and the admin socket.
    pub data_dir: Option<PathBuf>,
    /// One address or a list of them: `"0.0.0.0:7443"`.
    pub listen: Option<OneOrMany>,
    /// The console on plain HTTP for this machine's own browsers: a loopback address, `"127.0.0.1:7480"`.
    pub console_listen: Option<String>,
    /// How agents and apps reach the broker: `https://host[:port]`.
    pub public_url: Option<String>,
    /// More names and addresses for the certificate that the broker makes for itself.
    pub names: Vec<String>,
    /// A certificate of somebody else's.
    pub tls: Option<RawTls>,
    /// Proxies in front of the broker.
    pub proxies: Option<RawProxies>,
    /// Pages of others, and access tokens.
    pub api: RawApi,
    /// Others whose access tokens are taken.
    pub issuer: Vec<RawIssuer>,
    /// Bounds.
    pub limits: RawLimits,
    /// How long things are kept.
    pub retention: RawRetention,
    /// What monitoring may ask for.
    pub metrics: Option<RawMetrics>,
    /// Where the broker itself may go when an app names a URL.
    pub outbound: RawOutbound,
    /// How often agents report.
    pub report_interval_ms: Option<u64>,
}

/// One address or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// `listen = "0.0.0.0:7443"`
    One(String),
    /// `listen = ["192.0.2.1:7443", "[2001:db8::1]:7443"]`
    Many(Vec<String>),
}

/// `[tls]`: PEM files; read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// The certificate and its chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[proxies]`: who may say where a connection really comes from, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProxies {
    /// Networks of the proxies, as `10.0.0.0/8`, or single addresses.
    pub trusted: Vec<String>,
    /// What they send.
    pub header: ProxyHeader,
}

/// How a proxy says where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// PROXY protocol version 2 before the TLS handshake; such a proxy must always send it.
    ProxyV2,
    /// RFC 7239.
    Forwarded,
    /// The older header; it carries no port.
    XForwardedFor,
}

/// `[metrics]`: `GET /metrics` by plain HTTP. Not there unless configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMetrics {
    /// Where to listen: `"127.0.0.1:9464"`.
    pub listen: String,
    /// Networks that may ask besides this machine.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// `[limits]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Largest document.
    pub max_document_bytes: Option<u64>,
    /// Below this much free space documents are refused, so that outcomes still commit; 512 MiB or 5 % unless said.
    pub min_free_bytes: Option<u64>,
    /// Connections at once.
    pub max_connections: Option<usize>,
    /// Connections at once from one address.
    pub max_connections_per_address: Option<usize>,
    /// Requests a second of one key, user or token, in the long run; 0 takes the bound away.
    pub requests_per_s: Option<u32>,
    /// Requests that may come at once after a quiet time.
    pub request_burst: Option<u32>,
    /// App connections of one account at once.
    pub connections_per_account: Option<u32>,
    /// Jobs of one account in a day (UTC); no bound unless said.
    pub jobs_per_day: Option<u64>,
    /// Bytes of documents that one account may keep; no bound unless said.
    pub stored_bytes_per_account: Option<u64>,
    /// API keys of one account.
    pub keys_per_account: Option<u32>,
    /// Users of one account.
    pub users_per_account: Option<u32>,
    /// Webhooks of one account.
    pub webhooks_per_account: Option<u32>,
}

/// `[api]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawApi {
    /// Origins of others' pages that may ask here: `"https://shop.example"`.
    pub allowed_origins: Vec<String>,
    /// A live WebSocket may bring a newer token for this long after its own has expired; 30 unless said, at most 600.
    pub token_grace_s: Option<u64>,
    /// The keys that sign access tokens are rotated this often; 30 days unless said.
    pub rotate_token_keys_s: Option<u64>,
}

/// `[[issuer]]`: somebody else whose access tokens (JWT) are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawIssuer {
    /// The tokens' `iss`.
    pub issuer: String,
    /// The tokens' `aud`.
    pub audience: String,
    /// Its public keys (RFC 7517): an absolute path, or an https URL.
    pub jwks: String,
    /// Certificate authorities for that URL (PEM); the platform's unless said.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Which of `EdDSA`, `ES256`, `RS256` it signs with; the first two unless said.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// An account's name, or `claim:NAME`.
    pub account: String,
    /// The claim that says what may be done.
    #[serde(default)]
    pub scope_claim: Option<String>,
    /// What its values mean.
    #[serde(default)]
    pub scopes: BTreeMap<String, Scope>,
    /// What may be done where the claim says nothing known.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// The keys are read again for an unknown `kid`, but no oftener than this; 60 unless said.
    #[serde(default)]
    pub refresh_s: Option<u64>,
}

/// `[outbound]`: documents fetched by URL, and webhooks. Without it only public addresses are reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOutbound {
    /// Networks that may be reached although they are not public, as `10.20.0.0/16`, or single addresses.
    pub allow: Vec<String>,
    /// Ports that may be reached; any, unless said.
    pub ports: Vec<u16>,
    /// PEM files of certificate authorities that are trusted besides the platform's.
    pub ca: Vec<PathBuf>,
}

/// `[retention]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetention {
    /// How long a document outlives its job's end.
    pub documents_s: Option<u64>,
    /// How long a job's row outlives its end.
    pub jobs_s: Option<u64>,
}
