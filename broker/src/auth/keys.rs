//! Secrets that apps and people carry: API keys, enrolment tokens and sign-in links. Each is 256 random bits with a
//! prefix that says what it is; it is shown once, and the store has only its SHA-256. A search by digest leaks nothing
//! about the secret, and what is compared afterwards is compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_protocol::ids::Sha256Digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An API key.
    Key,
    /// A one-use enrolment token of an agent.
    Enrolment,
    /// A one-time sign-in link's token.
    SignIn,
    /// A person's sign-in, in a cookie.
    Login,
    /// A one-time ticket.
    Ticket,
}

impl Kind {
    /// The first characters of such a secret: a leaked one can be recognised.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "ik_",
            Self::Enrolment => "ie_",
            Self::SignIn => "is_",
            Self::Login => "il_",
            Self::Ticket => "it_",
        }
    }
}

/// A new secret in its text form, wiped when dropped. The caller owns chance.
pub(crate) fn make(kind: Kind, random: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random)))
}

/// The digest by which the store knows the secret; none where the text cannot be such a secret.
pub(crate) fn digest(kind: Kind, text: &str) -> Option<Sha256Digest> {
    let random = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?);
    if random.len() == 32 { Some(Sha256Digest::of(&random)) } else { None }
}

/// Whether two digests are equal, in constant time.
pub(crate) fn same(a: &Sha256Digest, b: &Sha256Digest) -> bool {
    a.as_bytes()[..].ct_eq(&b.as_bytes()[..]).into()
}

/// The token of `Authorization: Bearer ...`.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { Some(token.trim()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_again_by_its_digest_only() {
        let text = make(Kind::Key, &[7; 32]);
        assert!(text.starts_with("ik_") && text.len() == 46, "{}", text.len());
        let found = digest(Kind::Key, &text).unwrap();
        assert!(same(&found, &Sha256Digest::of(&[7; 32])));
        assert!(!same(&found, &Sha256Digest::of(&[8; 32])));
        assert_eq!(digest(Kind::Enrolment, &text), None);
        for bad in ["", "ik_", "ik_AAAA", "ik_!!!", &text[..45], &format!("{}A", text.as_str())] {
            assert_eq!(digest(Kind::Key, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bearer_is_read_in_any_case() {
        assert_eq!(bearer("Bearer ik_x"), Some("ik_x"));
        assert_eq!(bearer("bearer  ik_x "), Some("ik_x"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
