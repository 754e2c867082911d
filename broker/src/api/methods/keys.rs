//! `keys.*`.

use inkwire_protocol::app::{Key, KeyCreate, KeyCreated, KeyList, KeyRef, Keys, Problem, ProblemKind};
use serde_json::json;

use super::{check_name, internal_commit, not_found, page};
use crate::api::table::{Context, MAX_INTEGER};
use crate::api::{Api, new_key};
use crate::auth::gate::lesser;
use crate::auth::{Revoked, internal};
use crate::clock::now_ms;
use crate::store::{Bound, Change, CommitError, KeyRow};

/// As the account sees it.
pub(crate) fn shown(row: KeyRow) -> Key {
    Key {
        id: row.id,
        name: row.name,
        scope: row.scope,
        created_ms: row.created_ms,
        expires_ms: row.expires_ms,
        revoked_ms: row.revoked_ms,
        last_used_ms: row.last_used_ms,
    }
}

pub(in crate::api) async fn list(context: Context, params: KeyList) -> Result<Keys, Problem> {
    let limit = page(params.limit)?;
    let rows =
        context.api.store.keys(context.caller.account, params.before, limit).await.map_err(internal)?;
    let next = if rows.len() == limit as usize { rows.last().map(|row| row.id) } else { None };
    Ok(Keys { keys: rows.into_iter().map(shown).collect(), next })
}

pub(in crate::api) async fn create(context: Context, params: KeyCreate) -> Result<KeyCreated, Problem> {
    check_name(&params.name)?;
    let (api, account) = (&context.api, context.caller.account);
    let scope = lesser(&context.caller, Some(params.scope))?;
    if context.caller.cap.is_some() {
        let detail = "an access token makes no keys, which would outlive it: use an API key, or sign in";
        return Err(ProblemKind::Forbidden.because(detail));
    }
    if params.expires_in_s == Some(0) {
        return Err(ProblemKind::InvalidParams
            .because("expires_in_s must be at least 1")
            .at("/expires_in_s"));
    }
    let (text, mut row) = new_key(account, params.name, scope);
    let lifetime = params.expires_in_s.map(|seconds| seconds.saturating_mul(1000));
    row.expires_ms = lifetime.map(|ms| row.created_ms.saturating_add(ms).min(MAX_INTEGER));
    let detail = json!({ "name": row.name, "scope": scope, "expires_ms": row.expires_ms });
    let audit = context.audit("keys.create", format!("key:{}", row.id), detail);
    add(api, row.clone(), audit).await?;
    Ok(KeyCreated { key: shown(row), secret: text.to_string() })
}

/// Stores a new key within its account's quota, and writes down who made it.
pub(crate) async fn add(api: &Api, row: KeyRow, audit: Change) -> Result<(), Problem> {
    let (account, now_ms) = (row.account, row.created_ms);
    let quota =
        api.auth.at_most(account, |limits| limits.keys.map(|most| Bound::Keys { most, now_ms })).await?;
    let changes = [Change::CreateKey(row), audit].into_iter().chain(quota).collect();
    api.store.commit(changes).await.map(drop).map_err(internal_commit)
}

pub(in crate::api) async fn revoke(context: Context, params: KeyRef) -> Result<Key, Problem> {
    let (api, account, key) = (&context.api, context.caller.account, params.key);
    let audit = context.audit("keys.revoke", format!("key:{key}"), json!({}));
    let changes = vec![Change::RevokeKey { account, key, at_ms: now_ms() }, audit];
    api.store.commit(changes).await.map_err(|error| {
        if matches!(error, CommitError::NotFound(_)) { not_found("key", key) } else { internal_commit(error) }
    })?;
    api.auth.revoke(Revoked::Key(key));
    let row = api.store.key(account, key).await.map_err(internal)?;
    row.map(shown).ok_or_else(|| not_found("key", key))
}
