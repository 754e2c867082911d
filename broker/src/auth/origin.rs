//! Which pages may speak for the person who looks at them. Pure.
//!
//! A browser sends cookies along whatever page asks; what it cannot be made to lie about is the page's `Origin`. So a
//! cookie counts for a change, and a page may open a WebSocket, only from the broker's own pages and from those that
//! the configuration names.

use std::net::IpAddr;

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
