//! What the broker is told: [`RawConfig`] as people write it, [`Config`] as the broker uses it.
//!
//! ```toml
//! data_dir = "/var/lib/inkwire"
//! listen = ["0.0.0.0:7443"]
//! public_url = "https://print.example.com:7443"
//!
//! [proxies]
//! trusted = ["10.0.0.0/8"]
//! header = "proxy-v2"
//! ```

mod auth;
mod raw;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::auth::ApiConfig;
pub use self::raw::{
    OneOrMany, ProxyHeader, RawApi, RawConfig, RawIssuer, RawLimits, RawMetrics, RawOutbound, RawProxies,
    RawRetention, RawTls,
};
use crate::auth::issuers::Issuer;
use crate::documents::Space;
use crate::limits;
use crate::outbound::OutboundRules;
use inkwire_protocol::app::AccountLimits;
use inkwire_protocol::limits as wire;
use ipnet::IpNet;

/// Where the broker listens unless told: every interface.
pub const DEFAULT_LISTEN: &str = "0.0.0.0:7443";

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) console_listen: Option<SocketAddr>,
    pub(crate) public_url: Option<String>,
    pub(crate) names: Vec<String>,
    pub(crate) tls: Option<RawTls>,
    pub(crate) proxies: Proxies,
    pub(crate) api: ApiConfig,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) outbound: OutboundRules,
    pub(crate) report_interval: Duration,
}

/// Which peers are proxies and what they send. Nobody, unless configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    header: Option<ProxyHeader>,
}

impl Proxies {
    /// What this peer may say about where a connection comes from; none where it is nobody's proxy.
    pub(crate) fn header_from(&self, peer: IpAddr) -> Option<ProxyHeader> {
        if self.trusts(peer) { self.header } else { None }
    }

    /// Whether the address is a configured proxy's.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}

/// Checked `[metrics]`.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) listen: SocketAddr,
    pub(crate) allow: Vec<IpNet>,
}

/// Checked `[limits]`.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) max_document_bytes: u64,
    pub(crate) space: Space,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    /// What each account is allowed.
    pub(crate) account: AccountLimits,
}

/// Checked `[retention]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) documents: Duration,
    pub(crate) jobs: Duration,
}

/// A configuration that cannot be used; says which key and what would do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No folder.
    #[error("`data_dir` is missing: name the folder that shall hold store, documents and certificates")]
    NoDataDir,
    /// Not an address.
    #[error("`listen`: `{0}` is not an address with a port, such as `0.0.0.0:7443`")]
    Listen(String),
    /// An empty list.
    #[error("`listen` is empty: name at least one address, such as `0.0.0.0:7443`")]
    ListenEmpty,
    /// Not an address of this machine alone.
    #[error(
        "`console_listen`: `{0}` is not a loopback address with a port, such as `127.0.0.1:7480`: it is plain HTTP"
    )]
    ConsoleListen(String),
    /// Not a URL that agents can dial.
    #[error("`public_url`: `{0}` must be `https://host` or `https://host:port`")]
    PublicUrl(String),
    /// Not a network.
    #[error("`{key}`: `{text}` is neither an address nor a network such as `10.0.0.0/8`")]
    Network {
        /// The key.
        key: &'static str,
        /// What was written.
        text: String,
    },
    /// Not an address.
    #[error("`metrics.listen`: `{0}` is not an address with a port, such as `127.0.0.1:9464`")]
    MetricsListen(String),
    /// Not an origin.
    #[error("`api.allowed_origins`: `{0}` is not an origin such as `https://shop.example`")]
    Origin(String),
    /// An issuer whose tokens could not be taken.
    #[error("`[[issuer]]` {issuer}: {what}")]
    Issuer {
        /// Which.
        issuer: String,
        /// What is wrong, and what would do.
        what: String,
    },
    /// A number that cannot be.
    #[error("`{key}` is {value}; it must be {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// What was written.
        value: u64,
        /// What would do.
        range: &'static str,
    },
}

const DAY_S: u64 = 24 * 3600;
const DEFAULT_DOCUMENTS_S: u64 = 7 * DAY_S;
const DEFAULT_JOBS_S: u64 = 90 * DAY_S;
const MIN_REPORT_INTERVAL_MS: u64 = 100;

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            data_dir: raw.data_dir.ok_or(ConfigError::NoDataDir)?,
            listen: check_listen(raw.listen)?,
            console_listen: raw.console_listen.map(check_console_listen).transpose()?,
            public_url: raw.public_url.map(check_public_url).transpose()?,
            names: raw.names,
            tls: raw.tls,
            proxies: raw.proxies.map(check_proxies).transpose()?.unwrap_or_default(),
            api: auth::check_api(&raw.api)?,
            issuers: auth::check_issuers(raw.issuer)?,
            limits: check_limits(&raw.limits)?,
            retention: Retention {
                documents: Duration::from_secs(raw.retention.documents_s.unwrap_or(DEFAULT_DOCUMENTS_S)),
                jobs: Duration::from_secs(raw.retention.jobs_s.unwrap_or(DEFAULT_JOBS_S)),
            },
            metrics: raw.metrics.map(check_metrics).transpose()?,
            outbound: check_outbound(raw.outbound)?,
            report_interval: check_interval(raw.report_interval_ms)?,
        })
    }
}

fn check_listen(raw: Option<OneOrMany>) -> Result<Vec<SocketAddr>, ConfigError> {
    let texts = match raw {
        None => vec![DEFAULT_LISTEN.to_owned()],
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    };
    if texts.is_empty() {
        return Err(ConfigError::ListenEmpty);
    }
    texts.into_iter().map(|text| text.parse().map_err(|_| ConfigError::Listen(text))).collect()
}

fn check_console_listen(text: String) -> Result<SocketAddr, ConfigError> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or(ConfigError::ConsoleListen(text))
}

fn check_public_url(text: String) -> Result<String, ConfigError> {
    let usable = url::Url::parse(&text).is_ok_and(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    });
    if usable { Ok(text) } else { Err(ConfigError::PublicUrl(text)) }
}

fn check_proxies(raw: RawProxies) -> Result<Proxies, ConfigError> {
    Ok(Proxies { trusted: check_networks("proxies.trusted", raw.trusted)?, header: Some(raw.header) })
}

fn check_networks(key: &'static str, texts: Vec<String>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: String| {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| single()).map_err(|_| ConfigError::Network { key, text })
    };
    texts.into_iter().map(network).collect()
}

fn check_metrics(raw: RawMetrics) -> Result<Metrics, ConfigError> {
    let listen = raw.listen.parse().map_err(|_| ConfigError::MetricsListen(raw.listen))?;
    Ok(Metrics { listen, allow: check_networks("metrics.allow", raw.allow)? })
}

fn check_outbound(raw: RawOutbound) -> Result<OutboundRules, ConfigError> {
    if raw.ports.contains(&0) {
        return Err(ConfigError::Range { key: "outbound.ports", value: 0, range: "1 to 65535" });
    }
    Ok(OutboundRules { allow: check_networks("outbound.allow", raw.allow)?, ports: raw.ports, ca: raw.ca })
}

fn check_limits(raw: &RawLimits) -> Result<Limits, ConfigError> {
    let positive = |key, value: usize| match value {
        0 => Err(ConfigError::Range { key, value: 0, range: "at least 1" }),
        value => Ok(value),
    };
    let max_document_bytes = raw.max_document_bytes.unwrap_or(wire::DEFAULT_MAX_DOCUMENT_BYTES);
    if max_document_bytes == 0 {
        return Err(ConfigError::Range { key: "limits.max_document_bytes", value: 0, range: "at least 1" });
    }
    Ok(Limits {
        max_document_bytes,
        // Who names a number means this number.
        space: raw
            .min_free_bytes
            .map_or_else(Space::default, |bytes| Space { min_free_bytes: bytes, min_free_percent: 0 }),
        max_connections: positive(
            "limits.max_connections",
            raw.max_connections.unwrap_or(limits::DEFAULT_MAX_CONNECTIONS),
        )?,
        max_connections_per_address: positive(
            "limits.max_connections_per_address",
            raw.max_connections_per_address.unwrap_or(limits::DEFAULT_MAX_CONNECTIONS_PER_ADDRESS),
        )?,
        account: account_limits(raw),
    })
}

/// Rates have a default, for one key must not disturb the others; quotas are the operator's choice.
fn account_limits(raw: &RawLimits) -> AccountLimits {
    let or = |said: Option<u32>, otherwise: u32| Some(said.unwrap_or(otherwise)).filter(|&most| most > 0);
    AccountLimits {
        requests_per_s: or(raw.requests_per_s, limits::DEFAULT_REQUESTS_PER_S),
        request_burst: or(raw.request_burst, limits::DEFAULT_REQUEST_BURST),
        connections: or(raw.connections_per_account, limits::DEFAULT_ACCOUNT_CONNECTIONS),
        jobs_per_day: raw.jobs_per_day,
        stored_bytes: raw.stored_bytes_per_account,
        keys: or(raw.keys_per_account, limits::DEFAULT_KEYS),
        users: or(raw.users_per_account, limits::DEFAULT_USERS),
        webhooks: or(raw.webhooks_per_account, limits::DEFAULT_WEBHOOKS),
    }
}

fn check_interval(raw: Option<u64>) -> Result<Duration, ConfigError> {
    let Some(value) = raw else { return Ok(wire::DEFAULT_REPORT_INTERVAL) };
    let most = wire::MAX_REPORT_INTERVAL.as_millis() as u64;
    if (MIN_REPORT_INTERVAL_MS..=most).contains(&value) {
        Ok(Duration::from_millis(value))
    } else {
        Err(ConfigError::Range { key: "report_interval_ms", value, range: "100 to 50000" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        Config::try_from(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn little_is_enough() {
        let config = read(r#"data_dir = "/d""#).unwrap();
        assert_eq!(config.listen, [DEFAULT_LISTEN.parse().unwrap()]);
        assert_eq!(config.report_interval, wire::DEFAULT_REPORT_INTERVAL);
        assert!(!config.proxies.trusts("127.0.0.1".parse().unwrap()));
    }

    fn issuer(rest: &str) -> String {
        format!(
            "data_dir = '/d'\n[[issuer]]\nissuer = 'i'\naudience = 'a'\naccount = 'default'\nscope = 'read'\n{rest}"
        )
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, names) in [
            ("", "data_dir"),
            ("data_dir = '/d'\nlisten = 'nowhere'", "nowhere"),
            ("data_dir = '/d'\nlisten = []", "listen"),
            ("data_dir = '/d'\nconsole_listen = '0.0.0.0:80'", "0.0.0.0:80"),
            ("data_dir = '/d'\nconsole_listen = 'localhost:80'", "localhost:80"),
            ("data_dir = '/d'\npublic_url = 'http://a'", "http://a"),
            ("data_dir = '/d'\npublic_url = 'https://a/b'", "https://a/b"),
            ("data_dir = '/d'\nreport_interval_ms = 60000", "report_interval_ms"),
            ("data_dir = '/d'\n[limits]\nmax_connections = 0", "max_connections"),
            ("data_dir = '/d'\n[proxies]\ntrusted = ['ten']\nheader = 'proxy-v2'", "ten"),
            ("data_dir = '/d'\n[metrics]\nlisten = 'here'", "metrics.listen"),
            ("data_dir = '/d'\n[metrics]\nlisten = '127.0.0.1:1'\nallow = ['all']", "metrics.allow"),
            ("data_dir = '/d'\n[outbound]\nallow = ['intranet']", "`outbound.allow`: `intranet`"),
            ("data_dir = '/d'\n[outbound]\nports = [0]", "outbound.ports"),
            ("data_dir = '/d'\n[api]\nallowed_origins = ['https://a/b']", "https://a/b"),
            ("data_dir = '/d'\n[api]\nrotate_token_keys_s = 60", "rotate_token_keys_s"),
            ("data_dir = '/d'\n[api]\ntoken_grace_s = 601", "token_grace_s"),
            (&issuer("jwks = 'keys.json'"), "keys.json"),
            (&issuer("jwks = 'http://idp.example/jwks'"), "must be https"),
            (&issuer("jwks = '/keys.json'\nalgorithms = ['HS256']"), "HS256"),
            (&issuer("jwks = '/keys.json'\nalgorithms = ['none']"), "none"),
            ("data_dir = '/d'\ncolour = 1", "colour"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(names), "{text}: {error}");
        }
    }

    #[test]
    fn only_configured_peers_are_proxies() {
        let config = read(
            "data_dir = '/d'\n[proxies]\ntrusted = ['10.0.0.0/8', '::1', '192.0.2.7']\nheader = 'forwarded'",
        )
        .unwrap();
        let header = |ip: &str| config.proxies.header_from(ip.parse().unwrap());
        assert_eq!(header("10.1.2.3"), Some(ProxyHeader::Forwarded));
        assert_eq!(header("::ffff:10.1.2.3"), Some(ProxyHeader::Forwarded));
        assert_eq!(header("::1"), Some(ProxyHeader::Forwarded));
        assert_eq!(header("192.0.2.7"), Some(ProxyHeader::Forwarded));
        assert_eq!(header("192.0.2.8"), None);
    }
}
