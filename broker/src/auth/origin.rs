//! Which pages may speak for the person who looks at them. Pure.
//!
//! A browser sends cookies along whatever page asks; what it cannot be made to lie about is the page's `Origin`. So a
//! cookie counts for a change, and a page may open a WebSocket, only from the broker's own pages and from those that
//! the configuration names.

use std::net::{IpAddr, SocketAddr};

/// Which port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The TLS port, for everybody.
    Tls,
    /// Plain HTTP for this machine's own browsers (`console_listen`): no agents, no proxies.
    Console(SocketAddr),
}

/// Pages of others that may speak for who looks at them, and the broker's own names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    allowed: Vec<String>,
}

impl Origins {
    /// `origins` as they were written: `https://shop.example`. None where one is not an origin.
    pub(crate) fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let allowed = origins.into_iter().map(normal).collect::<Option<_>>()?;
        Some(Self { allowed })
    }

    /// All that the configuration names.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().map(String::as_str)
    }

    /// Whether a page of `origin` may ask with a cookie, or open a WebSocket. `scheme` and `host` are those of the request itself:
    /// the broker's own pages are on the same.
    pub(crate) fn allows(&self, origin: &str, scheme: &str, host: Option<&str>) -> bool {
        let Some(origin) = normal(origin) else { return false };
        let own = host.and_then(|host| normal(&format!("{scheme}://{host}")));
        own.as_ref() == Some(&origin) || self.allowed.contains(&origin)
    }
}

/// Scheme, host and port in the one spelling that browsers use.
pub(crate) fn normal(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let web = matches!(url.scheme(), "https" | "http") && url.has_host() && bare;
    if web { Some(url.origin().ascii_serialization()) } else { None }
}

/// Whether a request's `Host` is this machine by one of its own names, at this port.
pub(crate) fn is_loopback_authority(authority: &str, port: u16) -> bool {
    let (host, at) = match authority.rsplit_once(':') {
        Some((host, at)) if !at.ends_with(']') => (host, at.parse().ok()),
        Some(_) | None => (authority, Some(80)),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_this = host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    is_this && at == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_broker_and_of_the_configuration_may() {
        let origins = Origins::new(["https://Shop.example", "https://print.example.com:443/"]).unwrap();
        let at = |origin| origins.allows(origin, "https", Some("10.0.0.5:7443"));
        for origin in ["https://10.0.0.5:7443", "https://shop.example", "https://print.example.com"] {
            assert!(at(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://10.0.0.5:7443",
            "https://10.0.0.5",
            "https://10.0.0.5:7444",
            "http://shop.example",
            "https://shop.example.evil.example",
            "https://evil.example",
            "https://shop.example@evil.example",
        ] {
            assert!(!at(origin), "{origin}");
        }
        assert!(!origins.allows("https://a", "https", None));
        assert!(Origins::new(["*"]).is_none() && Origins::new(["https://a/b"]).is_none());
    }

    #[test]
    fn only_this_machines_own_names_are_this_machine() {
        for (authority, port, is) in [
            ("127.0.0.1:7480", 7480, true),
            ("localhost:7480", 7480, true),
            ("LOCALHOST:7480", 7480, true),
            ("[::1]:7480", 7480, true),
            ("127.0.0.1", 80, true),
            ("[::1]", 80, true),
            ("127.0.0.1:7481", 7480, false),
            ("evil.example:7480", 7480, false),
            ("127.0.0.1.evil.example:7480", 7480, false),
            ("10.0.0.1:7480", 7480, false),
            ("", 7480, false),
        ] {
            assert_eq!(is_loopback_authority(authority, port), is, "{authority}");
        }
    }
}
