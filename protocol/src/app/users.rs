//! People of an account, and what they may do.

use serde::{Deserialize, Serialize};

use super::Scope;
use crate::ids::UserId;

/// What a person may do; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything of the account.
    Viewer,
    /// And prints.
    Submitter,
    /// And looks after agents and printers.
    Operator,
    /// And everything else.
    Owner,
}

impl Role {
    /// All roles, smallest first.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Submitter, Self::Operator, Self::Owner];

    /// The same ladder as keys have.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Viewer => Scope::Read,
            Self::Submitter => Scope::Submit,
            Self::Operator => Scope::Operate,
            Self::Owner => Scope::Admin,
        }
    }

    /// The keyword, as on the wire.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name, unique in the account.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Kept out until enabled again.
    pub disabled: bool,
    /// Whether they can sign in by a password; a one-time link always works.
    pub has_password: bool,
    /// When they were made.
    pub created_ms: u64,
    /// When they signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sign_in_ms: Option<u64>,
}

/// Answer to `users.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Users {
    /// All people of the account, by name.
    pub users: Vec<User>,
}

/// `users.create`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    /// Their name, unique in the account.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// A first password, 10 to 256 characters; without one they sign in by a link of `users.link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl std::fmt::Debug for UserCreate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserCreate")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// `users.update`: only what is said changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserUpdate {
    /// The person.
    pub user: UserId,
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another role; what they have open is judged anew at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Keeps them out, or lets them in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// `users.set_password`: somebody else's; ends their sessions.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserPassword {
    /// The person.
    pub user: UserId,
    /// 10 to 256 characters; none takes the password away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl std::fmt::Debug for UserPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// `users.remove` and `users.link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserRef {
    /// The person.
    pub user: UserId,
}

/// Answer to `users.link`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserLink {
    /// A link that signs the person in, once.
    pub link: String,
    /// Seconds until it expires.
    pub expires_in_s: u64,
}

impl std::fmt::Debug for UserLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserLink").field("expires_in_s", &self.expires_in_s).finish_non_exhaustive()
    }
}
