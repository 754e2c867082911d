//! Who a request speaks for, and what that allows. Pure.

use inkwire_protocol::app::{Me, Problem, ProblemKind, Role, Scope, Who};
use inkwire_protocol::ids::{AccountId, KeyId, LoginId, UserId};

/// Who a request or a connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    pub(crate) account_name: String,
    pub(crate) principal: Principal,
    /// At most what the principal may; a token may have less.
    pub(crate) scope: Scope,
    /// When this must be judged anew: of a key or token its end, of a sign-in when it has idled too long.
    pub(crate) expires_ms: Option<u64>,
    /// Came by an access token or a ticket, which may do less than its maker. Such a caller makes no others, or it would never end.
    pub(crate) cap: Option<Cap>,
}

/// What a token allows of what its maker may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cap {
    pub(crate) scope: Scope,
    pub(crate) expires_ms: u64,
}

/// A key, a person, or somebody whom another issuer's token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    Key {
        id: KeyId,
        name: String,
        /// Whose own it is; none where it belongs to the account.
        user: Option<UserId>,
    },
    User {
        id: UserId,
        name: String,
        role: Role,
        login: LoginId,
    },
    Token {
        subject: String,
        issuer: String,
    },
}

/// What was revoked or changed (committed): whoever stands on it is judged anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// A key is over.
    Key(KeyId),
    /// A person was disabled, removed, or has another role, name or password.
    User(UserId),
    /// A person signed out.
    Login(LoginId),
    /// The account's limits changed.
    Limits(AccountId),
}

impl Principal {
    /// For the audit log and the log: `key:ID`, `user:ID` or `token:SUBJECT`.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Key { id, .. } => format!("key:{id}"),
            Self::User { id, .. } => format!("user:{id}"),
            Self::Token { subject, .. } => format!("token:{subject}"),
        }
    }

    /// A name for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Key { name, .. } | Self::User { name, .. } => name,
            Self::Token { subject, .. } => subject,
        }
    }

    fn who(&self) -> Who {
        match self.clone() {
            Self::Key { id, name, .. } => Who::Key { id, name },
            Self::User { id, name, role, .. } => Who::User { id, name, role },
            Self::Token { subject, issuer } => Who::Token { subject, issuer },
        }
    }
}

impl Caller {
    /// Whether the caller may do what needs `scope`; says what would do otherwise.
    pub(crate) fn must(&self, scope: Scope) -> Result<(), Problem> {
        if self.scope >= scope {
            return Ok(());
        }
        let (has, needs) = (self.scope.keyword(), scope.keyword());
        Err(ProblemKind::Forbidden.because(match &self.principal {
            Principal::Key { name, .. } if self.cap.is_none() => {
                format!("key `{name}` has scope `{has}`, this needs `{needs}`: use another key")
            }
            Principal::User { name, role, .. } if self.cap.is_none() => {
                let role = role.keyword();
                format!("user `{name}` is {role}, this needs scope `{needs}`: ask an owner of the account")
            }
            Principal::Key { .. } | Principal::User { .. } | Principal::Token { .. } => {
                format!("the token has scope `{has}`, this needs `{needs}`: use another token")
            }
        }))
    }

    /// Whether this is over by its own date.
    pub(crate) fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms)
    }

    /// Whether a revocation may concern this caller, who is then judged anew.
    pub(crate) fn concerned_by(&self, revoked: &Revoked) -> bool {
        match (revoked, &self.principal) {
            (Revoked::Key(gone), Principal::Key { id, .. }) => gone == id,
            (Revoked::User(gone), Principal::User { id, .. }) => gone == id,
            (Revoked::User(gone), Principal::Key { user, .. }) => Some(gone) == user.as_ref(),
            (Revoked::Login(gone), Principal::User { login, .. }) => gone == login,
            (Revoked::Key(_) | Revoked::User(_) | Revoked::Login(_) | Revoked::Limits(_), _) => false,
        }
    }

    /// The same caller with no more than a token allows.
    pub(crate) fn capped(mut self, cap: Cap) -> Self {
        self.scope = self.scope.min(cap.scope);
        self.expires_ms = Some(self.expires_ms.map_or(cap.expires_ms, |at| at.min(cap.expires_ms)));
        self.cap = Some(cap);
        self
    }

    /// As the API shows it.
    pub(crate) fn me(&self) -> Me {
        Me {
            account: self.account,
            account_name: self.account_name.clone(),
            scope: self.scope,
            who: self.principal.who(),
            expires_ms: self.expires_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn caller(principal: Principal, scope: Scope) -> Caller {
        Caller {
            account: AccountId::from_uuid(Uuid::nil()),
            account_name: "default".into(),
            principal,
            scope,
            expires_ms: Some(10),
            cap: None,
        }
    }

    fn key(n: u128) -> Principal {
        Principal::Key { id: KeyId::from_uuid(Uuid::from_u128(n)), name: "till".into(), user: None }
    }

    fn user(n: u128, role: Role) -> Principal {
        let login = LoginId::from_uuid(Uuid::from_u128(n + 100));
        Principal::User { id: UserId::from_uuid(Uuid::from_u128(n)), name: "ann".into(), role, login }
    }

    #[test]
    fn scopes_include_the_smaller_ones() {
        assert!(caller(key(1), Scope::Admin).must(Scope::Read).is_ok());
        assert!(caller(key(1), Scope::Submit).must(Scope::Submit).is_ok());
        let problem = caller(key(1), Scope::Read).must(Scope::Submit).unwrap_err();
        assert_eq!(problem.status, 403);
        assert!(problem.detail.contains("till") && problem.detail.contains("submit"), "{}", problem.detail);
        let problem = caller(user(1, Role::Viewer), Scope::Read).must(Scope::Admin).unwrap_err();
        assert!(problem.detail.contains("ann") && problem.detail.contains("viewer"), "{}", problem.detail);
        let reader = caller(key(1), Scope::Read);
        assert!(!reader.has_expired(9) && reader.has_expired(10));
    }

    #[test]
    fn a_revocation_concerns_who_stands_on_it() {
        let (one, ann) = (caller(key(1), Scope::Read), caller(user(1, Role::Owner), Scope::Admin));
        let id = Uuid::from_u128;
        for (revoked, concerns_key, concerns_user) in [
            (Revoked::Key(KeyId::from_uuid(id(1))), true, false),
            (Revoked::Key(KeyId::from_uuid(id(2))), false, false),
            (Revoked::User(UserId::from_uuid(id(1))), false, true),
            (Revoked::Login(LoginId::from_uuid(id(101))), false, true),
            (Revoked::Login(LoginId::from_uuid(id(102))), false, false),
        ] {
            assert_eq!(one.concerned_by(&revoked), concerns_key, "{revoked:?}");
            assert_eq!(ann.concerned_by(&revoked), concerns_user, "{revoked:?}");
        }
    }
}
