//! `printers.list`.

use std::collections::HashMap;

use inkwire_protocol::app::{AgentStatus, Printers, Problem};

use crate::api::present;
use crate::api::table::{Context, Nothing};
use crate::auth::internal;

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Printers, Problem> {
    let (store, account) = (&context.api.store, context.caller.account);
    let registry = &context.api.sessions.registry;
    let agents = store.agents(account).await.map_err(internal)?;
    let statuses: HashMap<_, _> =
        agents.iter().map(|row| (row.id, present::status(row, registry.of(row.id).as_ref()))).collect();
    let rows = store.printers(account).await.map_err(internal)?;
    let printers = rows
        .into_iter()
        .map(|row| {
            let status = statuses.get(&row.agent).copied().unwrap_or(AgentStatus::Offline);
            present::printer(row, status)
        })
        .collect();
    Ok(Printers { printers })
}
