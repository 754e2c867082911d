//! The configuration as people write it.

use std::path::PathBuf;

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
