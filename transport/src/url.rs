//! Where a broker is and by which key its authority is known: `https://host:port/#sha256=PIN`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_protocol::ids::Sha256Digest;
use rustls_pki_types::{DnsName, ServerName};
use url::{Host, Url};

const DEFAULT_PORT: u16 = 443;

/// The address of a broker, and the pin of its certificate authority where it has one of its own.
///
/// Written `https://host[:port][/][#sha256=PIN]`; `wss://` and `#sha256-PIN` are understood as well. `PIN` is the SHA-256
/// of the authority's SubjectPublicKeyInfo in 43 characters of unpadded base64url. Without one the
/// platform's roots decide. `Display` gives the canonical form back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerUrl {
    host: Host<String>,
    port: u16,
    pin: Option<Sha256Digest>,
}

/// Text that is no address of a broker. It names what is wrong and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Not a URL at all.
    #[error("`{text}` is not a URL ({reason}): expected https://host:port/#sha256=PIN")]
    Syntax {
        /// What was given, cut short.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// Another scheme than https or wss.
    #[error("a broker is reached by https:// or wss://, not by `{0}://`")]
    Scheme(String),
    /// No host.
    #[error("the broker's URL names no host")]
    NoHost,
    /// User, path or query, which a broker's address does not have.
    #[error("the broker's URL has a {0}: expected only https://host:port/#sha256=PIN")]
    Extra(&'static str),
    /// A fragment that is no pin.
    #[error("the broker's pin must be #sha256= and 43 characters of base64url, as the broker prints it")]
    Pin,
}

impl BrokerUrl {
    /// The address of `host` (a name, an IPv4 address, an IPv6 address with or without brackets).
    pub fn new(host: &str, port: u16, pin: Option<Sha256Digest>) -> Result<Self, BrokerUrlError> {
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::parse(host).map_err(|error| syntax(host, &error))?,
        };
        Ok(Self { host, port, pin })
    }

    /// The same address with another pin, or none.
    #[must_use]
    pub fn with_pin(self, pin: Option<Sha256Digest>) -> Self {
        Self { pin, ..self }
    }

    /// The host as a resolver wants it: an IPv6 address has no brackets.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The port; 443 unless the URL says otherwise.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// SHA-256 of the authority's public key, if the broker has an authority of its own.
    pub const fn pin(&self) -> Option<Sha256Digest> {
        self.pin
    }

    /// `host:port` as the HTTP `Host` header wants it; the port is left out where it is the default.
    pub fn authority(&self) -> String {
        match self.port {
            DEFAULT_PORT => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// The origin without the pin: `https://host:port`.
    pub fn origin(&self) -> String {
        format!("https://{}", self.authority())
    }

    /// The name that the certificate must be valid for.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, BrokerUrlError> {
        match &self.host {
            Host::Domain(name) => {
                DnsName::try_from(name.clone()).map(ServerName::DnsName).map_err(|error| syntax(name, &error))
            }
            Host::Ipv4(address) => Ok(IpAddr::V4(*address).into()),
            Host::Ipv6(address) => Ok(IpAddr::V6(*address).into()),
        }
    }
}

fn syntax(text: &str, reason: &dyn fmt::Display) -> BrokerUrlError {
    BrokerUrlError::Syntax { text: text.chars().take(128).collect(), reason: reason.to_string() }
}

fn parse_pin(fragment: &str) -> Result<Sha256Digest, BrokerUrlError> {
    let text = fragment.strip_prefix("sha256").and_then(|rest| rest.strip_prefix(['=', '-']));
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(Sha256Digest::from_bytes).ok_or(BrokerUrlError::Pin)
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        // `wss` and `https` are "special" schemes to the parser, so that hosts are checked and lowered in both.
        let url = Url::parse(text.trim()).map_err(|error| syntax(text, &error))?;
        if !matches!(url.scheme(), "https" | "wss") {
            return Err(BrokerUrlError::Scheme(url.scheme().chars().take(32).collect()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BrokerUrlError::Extra("user"));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(BrokerUrlError::Extra("path"));
        }
        if url.query().is_some() {
            return Err(BrokerUrlError::Extra("query"));
        }
        let host = url.host().ok_or(BrokerUrlError::NoHost)?.to_owned();
        let pin = url.fragment().map(parse_pin).transpose()?;
        let parsed = Self { host, port: url.port_or_known_default().unwrap_or(DEFAULT_PORT), pin };
        parsed.server_name().map(|_| parsed)
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.origin())?;
        match &self.pin {
            Some(pin) => write!(f, "#sha256={}", URL_SAFE_NO_PAD.encode(pin.as_bytes())),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for BrokerUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BrokerUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> BrokerUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_survives_its_text() {
        let pin = Sha256Digest::of(b"key");
        let text = format!("https://broker.example:8443/#sha256={}", URL_SAFE_NO_PAD.encode(pin.as_bytes()));
        let url = parsed(&text);
        assert_eq!((url.host().as_str(), url.port(), url.pin()), ("broker.example", 8443, Some(pin)));
        assert_eq!(url.to_string(), text);
        assert_eq!(parsed(&text.replace("/#sha256=", "#sha256-").replace("https", "wss")), url);
        assert_eq!(parsed("https://Broker.Example").to_string(), "https://broker.example/");
        assert_eq!(parsed("wss://b.example").authority(), "b.example");
        let six = parsed("https://[::1]:9000");
        assert_eq!((six.host().as_str(), six.authority().as_str()), ("::1", "[::1]:9000"));
        assert_eq!(BrokerUrl::new("::1", 9000, None).unwrap(), six);
        assert_eq!(BrokerUrl::new("127.0.0.1", 1, None).unwrap().to_string(), "https://127.0.0.1:1/");
    }

    #[test]
    fn what_is_no_address_is_named() {
        let error = |text: &str| text.parse::<BrokerUrl>().unwrap_err();
        assert_eq!(error("http://b.example"), BrokerUrlError::Scheme("http".into()));
        assert_eq!(error("https://b.example/print"), BrokerUrlError::Extra("path"));
        assert_eq!(error("https://me:x@b.example"), BrokerUrlError::Extra("user"));
        assert_eq!(error("https://b.example?x=1"), BrokerUrlError::Extra("query"));
        for pin in
            ["sha256=", "sha256=AAAA", "md5=AAAA", "", "sha256=!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"]
        {
            assert_eq!(error(&format!("https://b.example/#{pin}")), BrokerUrlError::Pin, "{pin}");
        }
        assert!(matches!(error("b.example:1234"), BrokerUrlError::Scheme(_)));
        assert!(matches!(error("https://"), BrokerUrlError::Syntax { .. }));
        assert!(error(&format!("https://{}", "a b".repeat(5000))).to_string().len() < 400);
    }
}
