//! Who may do what: pure rules for tokens and keys, and the look-up of who holds one.

mod caller;
pub(crate) mod dial;
pub(crate) mod keys;
pub(crate) mod origin;

use inkwire_protocol::app::{Problem, ProblemKind};

use crate::clock::now_ms;
use crate::store::{KeyRow, SharedStore};

pub(crate) use caller::{Caller, Principal, Revoked};

/// The holder of an API key. An unknown, a revoked and an expired key answer alike.
pub(crate) async fn authenticate(store: &SharedStore, token: &str) -> Result<Caller, Problem> {
    let hash = keys::digest(keys::Kind::Key, token).ok_or_else(not_valid)?;
    let key = store.key_by_hash(hash).await.map_err(internal)?.ok_or_else(not_valid)?;
    if !is_valid(&key, now_ms()) || !keys::same(&key.hash, &hash) {
        return Err(not_valid());
    }
    holder(store, key).await
}

/// The same caller as it stands now, or why it is none any more.
pub(crate) async fn judge_anew(store: &SharedStore, caller: &Caller) -> Result<Caller, Problem> {
    match &caller.principal {
        Principal::Key { id, .. } => {
            let key = store.key(caller.account, *id).await.map_err(internal)?.ok_or_else(not_valid)?;
            if is_valid(&key, now_ms()) { holder(store, key).await } else { Err(not_valid()) }
        }
        Principal::User { .. } | Principal::Token { .. } => Err(not_valid()),
    }
}

async fn holder(store: &SharedStore, key: KeyRow) -> Result<Caller, Problem> {
    let account = store.account(key.account).await.map_err(internal)?.ok_or_else(not_valid)?;
    Ok(Caller {
        account: key.account,
        account_name: account.name,
        principal: Principal::Key { id: key.id, name: key.name },
        scope: key.scope,
        expires_ms: key.expires_ms,
        by_token: false,
    })
}

fn not_valid() -> Problem {
    ProblemKind::Unauthenticated.because("the API key is not valid (any more): have a new one made")
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
