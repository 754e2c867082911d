//! Who is signed in, and by what: keys, people's sessions, access tokens, tickets.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::ids::{AccountId, KeyId, UserId};

/// What a caller may do; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// See everything of the account.
    Read,
    /// And submit, cancel, hold, release and reprint jobs.
    Submit,
    /// And look after agents and printers: pair, rename, revoke, set defaults and policies.
    Operate,
    /// And everything else: keys, users, webhooks, limits, the audit log.
    Admin,
}

impl Scope {
    /// All scopes, smallest first.
    pub const ALL: &'static [Self] = &[Self::Read, Self::Submit, Self::Operate, Self::Admin];

    /// The keyword, as on the wire.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// `authenticate {token}`: the first message where the upgrade carried no `Authorization: Bearer` and no cookie. Later on
/// the same connection it replaces the token by a newer one of the same account.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// An API key, an access token or a ticket.
    pub token: String,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticate(masked)")
    }
}

/// Who the request or connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub account_name: String,
    /// What may be done.
    pub scope: Scope,
    /// Who it is.
    pub who: Who,
    /// When this must be renewed, if ever: the key's or token's expiry, or the session's if nothing more is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// A key, a person, or somebody whom a foreign issuer's token names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Who {
    /// The holder of an API key.
    Key {
        /// The key.
        id: KeyId,
        /// Its name.
        name: String,
    },
    /// A person who signed in.
    User {
        /// The person.
        id: UserId,
        /// Their name.
        name: String,
        /// Their role.
        role: Role,
    },
    /// Somebody whom another issuer's token names.
    Token {
        /// The token's `sub`.
        subject: String,
        /// The token's `iss`.
        issuer: String,
    },
}

impl Who {
    /// A name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Key { name, .. } | Self::User { name, .. } => name,
            Self::Token { subject, .. } => subject,
        }
    }
}

/// `POST /v1/session`: signs a person in. Either `link`, or `user` and `password`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [
        {"required": ["link"], "not": {"anyOf": [{"required": ["user"]}, {"required": ["password"]}]}},
        {"required": ["user", "password"], "not": {"required": ["link"]}},
    ]))
)]
#[serde(deny_unknown_fields, default)]
pub struct SignIn {
    /// The token of a one-time sign-in link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub link: Option<String>,
    /// The account's name; `default` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub user: Option<String>,
    /// Their password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub password: Option<String>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("account", &self.account)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Answer to `POST /v1/session` and `GET /v1/session`; the session itself is in a cookie that scripts cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedIn {
    /// Who is signed in.
    pub me: Me,
    /// When the session ends if nothing more is done.
    pub idle_expires_ms: u64,
    /// When it ends whatever is done.
    pub expires_ms: u64,
}

/// `session.set_password`: the signed-in person's own.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The password until now; not needed by who never had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The new one: 10 to 256 characters.
    pub password: String,
}

impl std::fmt::Debug for OwnPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnPassword(masked)")
    }
}

/// `session.token` and `session.ticket`: what the new one may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TokenRequest {
    /// At most the caller's own, which it is unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Seconds until it expires: at most, and unless said, 900 for a token and 60 for a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// Answer to `session.token` and `session.ticket`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Token {
    /// The token: for `Authorization: Bearer` or `authenticate`. A ticket works once, and only in `authenticate`.
    pub token: String,
    /// What it may do.
    pub scope: Scope,
    /// When it expires.
    pub expires_ms: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("scope", &self.scope)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}
