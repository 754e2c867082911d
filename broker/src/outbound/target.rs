//! Which URLs of apps the broker takes at all. Pure: what they resolve to is judged when they are reached.

use inkwire_protocol::message::clip;
use url::{Host, Url};

use super::OutboundError;
use crate::limits::MAX_URL_BYTES;

/// A URL that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    port: u16,
}

impl Target {
    /// Reads a URL: `https` or `http`, no user or password, a port that may be reached (`ports`; empty means any).
    pub(crate) fn read(text: &str, ports: &[u16]) -> Result<Self, OutboundError> {
        let refused = |why: String| OutboundError::Url(why);
        if text.len() > MAX_URL_BYTES {
            return Err(refused(format!("a URL has at most {MAX_URL_BYTES} bytes")));
        }
        let url = Url::parse(text).map_err(|error| refused(format!("`{}`: {error}", clip(text))))?;
        Self::of(url, ports)
    }

    /// Where a redirect leads. From TLS it never leads to plain text.
    pub(crate) fn redirected(&self, location: &str, ports: &[u16]) -> Result<Self, OutboundError> {
        let refused = |why: String| OutboundError::Url(why);
        let url =
            self.url.join(location).map_err(|error| refused(format!("a redirect leads nowhere: {error}")))?;
        let to = Self::of(url, ports)?;
        if self.is_tls() && !to.is_tls() {
            return Err(refused(format!("{} redirects from https to http", self.origin())));
        }
        Ok(to)
    }

    fn of(mut url: Url, ports: &[u16]) -> Result<Self, OutboundError> {
        let refused = |why: String| Err(OutboundError::Url(why));
        if !matches!(url.scheme(), "https" | "http") {
            return refused(format!("`{}` is not fetched: use https or http", clip(url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("a URL must not carry a user or a password: it is shown to people".to_owned());
        }
        let (Some(_), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return refused("a URL needs a host".to_owned());
        };
        if port == 0 || (!ports.is_empty() && !ports.contains(&port)) {
            return refused(format!(
                "port {port} is not allowed by the broker's configuration (`outbound.ports`)"
            ));
        }
        url.set_fragment(None);
        Ok(Self { url, port })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The host, without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// The header `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What a connection can be used again for, and what may be logged: no path, no query.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.authority())
    }

    /// Path and query.
    pub(crate) fn path(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_are_taken() {
        let target = Target::read("https://shop.example/hook?a=1#x", &[]).unwrap();
        assert_eq!((target.port(), target.path().as_str(), target.is_tls()), (443, "/hook?a=1", true));
        assert_eq!(
            (target.origin(), target.authority()),
            ("https://shop.example".into(), "shop.example".into())
        );
        let v6 = Target::read("http://[::1]:8080", &[]).unwrap();
        assert_eq!(
            (v6.host().as_str(), v6.authority().as_str(), v6.path().as_str()),
            ("::1", "[::1]:8080", "/")
        );
        for wrong in [
            "ftp://a/",
            "file:///etc/passwd",
            "gopher://a:70/",
            "https://user@a/",
            "https://u:p@a/",
            "nonsense",
            "/x",
            "https://",
            "http://a:0/",
            "javascript:1",
        ] {
            assert!(Target::read(wrong, &[]).is_err(), "{wrong}");
        }
        assert!(Target::read(&format!("https://a/{}", "x".repeat(MAX_URL_BYTES)), &[]).is_err());
        assert!(
            Target::read("https://a:8443/", &[443]).is_err() && Target::read("https://a/", &[443]).is_ok()
        );
    }

    #[test]
    fn numbers_in_disguise_are_addresses() {
        for text in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://127.1/",
            "http://①②⑦.⓪.⓪.①/",
        ] {
            assert_eq!(Target::read(text, &[]).unwrap().host(), "127.0.0.1", "{text}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_tls() {
        let from = Target::read("https://a/x/y", &[443, 80]).unwrap();
        assert_eq!(from.redirected("z?q", &[]).unwrap().path(), "/x/z?q");
        assert_eq!(from.redirected("//b/", &[]).unwrap().origin(), "https://b");
        for wrong in ["http://a/", "https://u:p@a/", "file:///x", "https://a:22/"] {
            assert!(from.redirected(wrong, &[443, 80]).is_err(), "{wrong}");
        }
        assert!(Target::read("http://a/", &[]).unwrap().redirected("https://a/", &[]).is_ok());
    }
}
