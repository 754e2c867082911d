//! `limits.get` and `limits.set`.

use inkwire_protocol::app::{AccountUsage, Limits, LimitsSet, Problem};
use inkwire_protocol::ids::AccountId;
use serde_json::json;

use super::internal_commit;
use crate::api::Api;
use crate::api::table::{Context, Nothing};
use crate::auth::{Revoked, internal, quotas};
use crate::clock::now_ms;
use crate::store::Change;

pub(in crate::api) async fn get(context: Context, _: Nothing) -> Result<Limits, Problem> {
    of(&context.api, context.caller.account).await
}

pub(in crate::api) async fn set(context: Context, params: LimitsSet) -> Result<Limits, Problem> {
    let (api, account) = (&context.api, context.caller.account);
    let own = api.store.account_limits(account).await.map_err(internal)?;
    let limits = quotas::changed(&api.auth.broker_limits, &own, &params)?;
    let audit = context.audit("limits.set", "", json!({ "limits": params }));
    let changes = vec![Change::SetLimits { account, limits }, audit];
    api.store.commit(changes).await.map_err(internal_commit)?;
    api.auth.revoke(Revoked::Limits(account));
    of(api, account).await
}

/// What an account may use, and uses.
pub(crate) async fn of(api: &Api, account: AccountId) -> Result<Limits, Problem> {
    let own = api.store.account_limits(account).await.map_err(internal)?;
    let usage = api.store.usage(account, now_ms()).await.map_err(internal)?;
    let broker = api.auth.broker_limits;
    Ok(Limits {
        limits: quotas::effective(&broker, &own),
        broker,
        account: own,
        usage: AccountUsage {
            connections: api.auth.places.count(account),
            jobs_today: quotas::jobs_today(&usage, now_ms()),
            stored_bytes: usage.stored_bytes,
            keys: usage.keys,
            users: usage.users,
        },
    })
}
