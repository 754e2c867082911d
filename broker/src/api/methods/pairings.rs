//! `pairings.show` and `pairings.approve`.

use inkwire_protocol::app::{Agent, ApprovePairing, PairingCode, PendingPairing, Problem};

use crate::api::present;
use crate::api::table::Context;

pub(in crate::api) async fn show(context: Context, params: PairingCode) -> Result<PendingPairing, Problem> {
    context.api.pairings.show(context.caller.account, &params.code)
}

pub(in crate::api) async fn approve(context: Context, params: ApprovePairing) -> Result<Agent, Problem> {
    let caller = &context.caller;
    let row = context.api.pairings.approve(caller.account, &caller.account_name, &params).await?;
    Ok(present::agent(row, &context.api.sessions.registry))
}
