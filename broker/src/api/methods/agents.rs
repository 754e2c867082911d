//! `agents.list` and `agents.get`.

use inkwire_protocol::app::{Agent, AgentRef, Agents, Problem};

use super::not_found;
use crate::api::present;
use crate::api::table::{Context, Nothing};
use crate::auth::internal;

/// How much of an agent's history of endpoints `agents.get` shows.
const ENDPOINTS: u32 = 100;

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Agents, Problem> {
    let rows = context.api.store.agents(context.caller.account).await.map_err(internal)?;
    let registry = &context.api.sessions.registry;
    Ok(Agents { agents: rows.into_iter().map(|row| present::agent(row, registry)).collect() })
}

pub(in crate::api) async fn get(context: Context, params: AgentRef) -> Result<Agent, Problem> {
    let (store, account) = (&context.api.store, context.caller.account);
    let row = store.agent(account, params.agent).await.map_err(internal)?;
    let row = row.ok_or_else(|| not_found("agent", params.agent))?;
    let mut agent = present::agent(row, &context.api.sessions.registry);
    agent.endpoints = store.endpoint_changes(account, params.agent, ENDPOINTS).await.map_err(internal)?;
    Ok(agent)
}
