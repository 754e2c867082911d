//! A person's sign-in in a browser: a cookie that scripts cannot read, and how long it lasts. Pure.

use http::HeaderMap;
use http::header::COOKIE;

use super::origin::Kind;
use crate::limits::{LOGIN_IDLE, LOGIN_LIFETIME};
use crate::store::LoginRow;

/// What a browser keeps the secret under. `__Host-` makes it refuse one that came without TLS or from another host; on plain
/// HTTP at a loopback address there is no TLS to demand.
pub(crate) const fn cookie_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Tls => "__Host-inkwire",
        Kind::Console(_) => "inkwire-console",
    }
}

/// The secret in a request's cookies.
pub(crate) fn of_headers(headers: &HeaderMap, kind: Kind) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        if name == cookie_name(kind) { Some(value) } else { None }
    })
}

/// `Set-Cookie` with a secret; without one the cookie goes.
pub(crate) fn set_cookie(secret: Option<&str>, kind: Kind) -> String {
    let (value, age) = secret.map_or(("", 0), |secret| (secret, LOGIN_LIFETIME.as_secs()));
    let secure = if kind == Kind::Tls { "; Secure" } else { "" };
    let name = cookie_name(kind);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

/// When a sign-in ends if nothing more is done.
pub(crate) fn ends_ms(row: &LoginRow) -> u64 {
    row.last_used_ms.saturating_add(LOGIN_IDLE.as_millis() as u64).min(row.expires_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use inkwire_protocol::ids::{AccountId, LoginId, Sha256Digest, UserId};
    use uuid::Uuid;

    const CONSOLE: Kind =
        Kind::Console(std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7480));

    #[test]
    fn the_cookie_is_found_by_its_name_alone() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("x__Host-inkwire=no; a=b; __Host-inkwire=il_yes"));
        assert_eq!(of_headers(&headers, Kind::Tls), Some("il_yes"));
        assert_eq!(of_headers(&headers, CONSOLE), None);
        assert_eq!(of_headers(&HeaderMap::new(), Kind::Tls), None);
    }

    #[test]
    fn a_cookie_is_for_this_host_and_not_for_scripts() {
        let set = set_cookie(Some("il_x"), Kind::Tls);
        for part in ["__Host-inkwire=il_x;", "Path=/", "HttpOnly", "SameSite=Strict", "Secure"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Domain"));
        assert!(!set_cookie(Some("il_x"), CONSOLE).contains("Secure"));
        assert!(set_cookie(None, Kind::Tls).contains("Max-Age=0"));
    }

    #[test]
    fn it_slides_but_not_for_ever() {
        let row = |last_used_ms| LoginRow {
            id: LoginId::from_uuid(Uuid::nil()),
            hash: Sha256Digest::of(b""),
            account: AccountId::from_uuid(Uuid::nil()),
            user: UserId::from_uuid(Uuid::nil()),
            created_ms: 0,
            last_used_ms,
            expires_ms: LOGIN_LIFETIME.as_millis() as u64,
        };
        let idle = LOGIN_IDLE.as_millis() as u64;
        assert_eq!(ends_ms(&row(0)), idle);
        assert_eq!(ends_ms(&row(1000)), idle + 1000);
        assert_eq!(ends_ms(&row(LOGIN_LIFETIME.as_millis() as u64 - 5)), LOGIN_LIFETIME.as_millis() as u64);
    }
}
