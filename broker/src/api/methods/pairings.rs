//! `pairings.*`.

use inkwire_protocol::app::{Agent, ApprovePairing, PairingCode, PendingPairing, Problem, RefusePairing};
use serde_json::json;

use super::session::Done;
use crate::api::present;
use crate::api::table::Context;

pub(in crate::api) async fn show(context: Context, params: PairingCode) -> Result<PendingPairing, Problem> {
    context.api.pairings.show(context.caller.account, &params.code)
}

pub(in crate::api) async fn approve(context: Context, params: ApprovePairing) -> Result<Agent, Problem> {
    let detail = json!({ "fingerprint": params.fingerprint, "name": params.name });
    let audit = context.audit("pairings.approve", format!("fingerprint:{}", params.fingerprint), detail);
    let caller = &context.caller;
    let row = context.api.pairings.approve(caller.account, &caller.account_name, &params, audit).await?;
    Ok(present::agent(row, &context.api.sessions.registry))
}

pub(in crate::api) async fn refuse(context: Context, params: RefusePairing) -> Result<Done, Problem> {
    let audit = context.audit("pairings.refuse", format!("fingerprint:{}", params.fingerprint), json!({}));
    context.api.pairings.refuse(context.caller.account, &params, audit).await?;
    Ok(Done {})
}
