//! Where a request really comes from, by the words of a proxy that we trust.
//!
//! `Forwarded` (RFC 7239) names address and, where the proxy says it, port: `for="192.0.2.43:47011"`. The older
//! `X-Forwarded-For` has addresses only. Either is a chain to which every proxy appends what it saw; whoever sits before
//! the first proxy that we trust can have written anything. So the chain is read from its end, and the first address
//! that is not a trusted proxy's is the peer: nothing before it is believed.

use std::net::{IpAddr, SocketAddr};

use crate::config::ProxyHeader;

/// A chain that names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardedError {
    /// The proxy did not send what it is configured to send.
    #[error("the proxy sent no `{0}` header: have it send one, or correct `proxies.header`")]
    Missing(&'static str),
    /// The last hop is not an address: `unknown`, an obfuscated name, or damaged.
    #[error("the last hop of the proxy's `{0}` header is not an address: have it send the address")]
    NotAnAddress(&'static str),
}

/// The header's name.
pub(crate) const fn header_name(header: ProxyHeader) -> &'static str {
    match header {
        ProxyHeader::Forwarded => "forwarded",
        ProxyHeader::XForwardedFor => "x-forwarded-for",
        ProxyHeader::ProxyV2 => "proxy-v2",
    }
}

/// The peer behind the proxies. `values` are the header's lines in order; port 0 stands for "the proxy did not say".
pub(crate) fn peer<'a>(
    header: ProxyHeader,
    values: impl Iterator<Item = &'a str>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Result<SocketAddr, ForwardedError> {
    let name = header_name(header);
    let mut hops: Vec<Option<SocketAddr>> = Vec::new();
    for line in values {
        match header {
            ProxyHeader::Forwarded => hops.extend(split_outside_quotes(line, ',').map(forwarded_for)),
            ProxyHeader::XForwardedFor | ProxyHeader::ProxyV2 => hops.extend(line.split(',').map(node)),
        }
    }
    let mut nearest = None;
    for hop in hops.into_iter().rev() {
        match hop {
            Some(address) if trusts(address.ip()) => nearest = Some(address),
            Some(address) => return Ok(address),
            // A trusted proxy says that it does not know, or something that is no address: what stands before it may be
            // anybody's invention.
            None => return nearest.ok_or(ForwardedError::NotAnAddress(name)),
        }
    }
    nearest.ok_or(ForwardedError::Missing(name))
}

/// The `for` of one element: `for=192.0.2.60;proto=http;by=203.0.113.43`.
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    split_outside_quotes(element, ';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        if key.trim().eq_ignore_ascii_case("for") { node(value) } else { None }
    })
}

/// `192.0.2.43`, `192.0.2.43:47011`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`, quoted or not.
fn node(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let bare = || {
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 0))
    };
    let address: SocketAddr = text.parse().ok().or_else(bare)?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Splits at `separator`, but not inside a quoted string (RFC 9110 section 5.6.4).
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            return c == separator && !quoted;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 10)
    }

    fn forwarded(lines: &[&str]) -> Result<SocketAddr, ForwardedError> {
        peer(ProxyHeader::Forwarded, lines.iter().copied(), trusts)
    }

    fn x_forwarded(lines: &[&str]) -> Result<SocketAddr, ForwardedError> {
        peer(ProxyHeader::XForwardedFor, lines.iter().copied(), trusts)
    }

    #[test]
    fn address_and_port_are_read_in_every_spelling() {
        for (line, expected) in [
            ("for=192.0.2.43", "192.0.2.43:0"),
            ("For=\"192.0.2.43:47011\"", "192.0.2.43:47011"),
            ("for=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=\"[2001:db8:cafe::17]\"", "[2001:db8:cafe::17]:0"),
            ("proto=https; for=192.0.2.60 ;by=203.0.113.43", "192.0.2.60:0"),
            ("for=\"[::ffff:192.0.2.1]:7\"", "192.0.2.1:7"),
        ] {
            assert_eq!(forwarded(&[line]), Ok(expected.parse().unwrap()), "{line}");
        }
        assert_eq!(x_forwarded(&["192.0.2.43"]), Ok("192.0.2.43:0".parse().unwrap()));
        assert_eq!(x_forwarded(&["192.0.2.43:99"]), Ok("192.0.2.43:99".parse().unwrap()));
        assert_eq!(x_forwarded(&["2001:db8::1"]), Ok("[2001:db8::1]:0".parse().unwrap()));
    }

    #[test]
    fn what_the_peer_itself_wrote_is_not_believed() {
        // The peer 203.0.113.9 sent a header of its own; our proxy appended what it saw.
        let truth = Ok("203.0.113.9:5000".parse().unwrap());
        assert_eq!(forwarded(&["for=198.51.100.1, for=\"203.0.113.9:5000\""]), truth);
        assert_eq!(forwarded(&["for=198.51.100.1", "for=\"203.0.113.9:5000\""]), truth);
        assert_eq!(forwarded(&["for=10.0.0.1, for=\"203.0.113.9:5000\""]), truth);
        // A quote that the peer left open swallows what follows: then nobody is named.
        assert_eq!(
            forwarded(&["for=\"198.51.100.1, for=203.0.113.9"]),
            Err(ForwardedError::NotAnAddress("forwarded"))
        );
        assert_eq!(x_forwarded(&["10.0.0.7, 203.0.113.9"]), Ok("203.0.113.9:0".parse().unwrap()));
    }

    #[test]
    fn trusted_proxies_in_a_row_are_passed_over() {
        assert_eq!(
            forwarded(&["for=198.51.100.1, for=203.0.113.9, for=10.0.0.3, for=10.0.0.4"]),
            Ok("203.0.113.9:0".parse().unwrap())
        );
        assert_eq!(x_forwarded(&["10.0.0.3, 10.0.0.4"]), Ok("10.0.0.3:0".parse().unwrap()));
    }

    #[test]
    fn nobody_is_an_error() {
        assert_eq!(forwarded(&[]), Err(ForwardedError::Missing("forwarded")));
        for line in ["for=unknown", "for=_hidden", "", "proto=https", "for=198.51.100.1, for=unknown"] {
            assert_eq!(forwarded(&[line]), Err(ForwardedError::NotAnAddress("forwarded")), "{line}");
        }
        assert_eq!(x_forwarded(&["198.51.100.1, "]), Err(ForwardedError::NotAnAddress("x-forwarded-for")));
    }
}
