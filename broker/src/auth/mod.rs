//! Who may do what: pure rules for tokens and keys, and the look-up of a key's holder.

pub(crate) mod dial;
pub(crate) mod keys;

use inkwire_protocol::app::{Problem, ProblemKind, Scope};
use inkwire_protocol::ids::{AccountId, KeyId};

use crate::clock::now_ms;
use crate::store::{KeyRow, SharedStore};

/// Who a request speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    pub(crate) account_name: String,
    pub(crate) key: KeyId,
    pub(crate) key_name: String,
    pub(crate) scope: Scope,
    pub(crate) expires_ms: Option<u64>,
}

impl Caller {
    /// Whether the caller may do what needs `scope`; says what would do otherwise.
    pub(crate) fn must(&self, scope: Scope) -> Result<(), Problem> {
        if self.scope >= scope {
            return Ok(());
        }
        Err(ProblemKind::Forbidden.because(format!(
            "key `{}` has scope `{}`, this needs `{}`: use another key",
            self.key_name,
            self.scope.keyword(),
            scope.keyword()
        )))
    }

    /// Whether the key is over by its own date.
    pub(crate) fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms)
    }
}

/// The holder of an API key. An unknown, a revoked and an expired key answer alike.
pub(crate) async fn authenticate(store: &SharedStore, token: &str) -> Result<Caller, Problem> {
    let refused =
        || ProblemKind::Unauthenticated.because("the API key is not valid (any more): have a new one made");
    let hash = keys::digest(keys::Kind::Key, token).ok_or_else(refused)?;
    let key = store.key_by_hash(hash).await.map_err(internal)?.ok_or_else(refused)?;
    if !is_valid(&key, now_ms()) || !keys::same(&key.hash, &hash) {
        return Err(refused());
    }
    let account = store.account(key.account).await.map_err(internal)?.ok_or_else(refused)?;
    Ok(Caller {
        account: key.account,
        account_name: account.name,
        key: key.id,
        key_name: key.name,
        scope: key.scope,
        expires_ms: key.expires_ms,
    })
}

/// Whether a key may be used now.
pub(crate) fn is_valid(key: &KeyRow, now_ms: u64) -> bool {
    key.revoked_ms.is_none() && key.expires_ms.is_none_or(|at| at > now_ms)
}

/// A failed read, as the caller sees it; the cause is logged here.
#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(crate) fn internal(error: crate::store::ReadError) -> Problem {
    tracing::error!(%error, "the store could not be read");
    ProblemKind::Internal.because("the store could not be read: see the broker's log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn scopes_include_the_smaller_ones() {
        let caller = |scope| Caller {
            account: AccountId::from_uuid(Uuid::nil()),
            account_name: "default".into(),
            key: KeyId::from_uuid(Uuid::nil()),
            key_name: "till".into(),
            scope,
            expires_ms: Some(10),
        };
        assert!(caller(Scope::Admin).must(Scope::Read).is_ok());
        assert!(caller(Scope::Submit).must(Scope::Submit).is_ok());
        let problem = caller(Scope::Read).must(Scope::Submit).unwrap_err();
        assert_eq!(problem.status, 403);
        assert!(problem.detail.contains("till") && problem.detail.contains("submit"), "{}", problem.detail);
        assert!(!caller(Scope::Read).has_expired(9) && caller(Scope::Read).has_expired(10));
    }
}
