//! `agents.*`: who prints for the account, where they are, and what an operator does with them.

use inkwire_protocol::app::{Agent, AgentRef, AgentRename, Agents, Problem, SessionList, Sessions, method};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::AgentId;
use serde_json::{Value, json};

use super::{check_name, commit, not_found, page};
use crate::api::present;
use crate::api::table::{Context, Nothing};
use crate::auth::internal;
use crate::clock::now_ms;
use crate::store::Change;

/// How much of an agent's history of endpoints `agents.get` shows.
const ENDPOINTS: u32 = 100;

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Agents, Problem> {
    let rows = context.api.store.agents(context.caller.account).await.map_err(internal)?;
    let registry = &context.api.sessions.registry;
    Ok(Agents { agents: rows.into_iter().map(|row| present::agent(row, registry)).collect() })
}

pub(in crate::api) async fn get(context: Context, params: AgentRef) -> Result<Agent, Problem> {
    let (store, account) = (&context.api.store, context.caller.account);
    let mut agent = shown(&context, params.agent).await?;
    agent.endpoints = store.endpoint_changes(account, params.agent, ENDPOINTS).await.map_err(internal)?;
    Ok(agent)
}

pub(in crate::api) async fn sessions(context: Context, params: SessionList) -> Result<Sessions, Problem> {
    let limit = page(params.limit)?;
    shown(&context, params.agent).await?;
    let (store, account) = (&context.api.store, context.caller.account);
    let found = store.sessions(account, params.agent, params.before, limit + 1).await;
    let mut sessions = found.map_err(internal)?;
    let more = sessions.len() > limit as usize;
    sessions.truncate(limit as usize);
    let next = sessions.last().map(|session| session.epoch.0).filter(|_| more);
    Ok(Sessions { sessions, next })
}

pub(in crate::api) async fn rename(context: Context, params: AgentRename) -> Result<Agent, Problem> {
    check_name(&params.name)?;
    let (account, agent) = (context.caller.account, params.agent);
    let audit = context.audit(method::AGENTS_RENAME, target(agent), json!({ "name": params.name }));
    let change = Change::RenameAgent { account, agent, name: params.name, at_ms: now_ms() };
    commit(&context, vec![change, audit], agent).await?;
    shown(&context, agent).await
}

/// Its key is good for nothing any more; its jobs end, or become uncertain where it may have printed them.
pub(in crate::api) async fn revoke(context: Context, params: AgentRef) -> Result<Agent, Problem> {
    let (account, agent) = (context.caller.account, params.agent);
    let audit = context.audit(method::AGENTS_REVOKE, target(agent), Value::Null);
    commit(&context, vec![Change::RevokeAgent { account, agent, at_ms: now_ms() }, audit], agent).await?;
    context.api.sessions.end(agent, CloseCode::Revoked);
    context.api.jobs.agent_revoked(account, agent).await;
    shown(&context, agent).await
}

pub(in crate::api) async fn release(context: Context, params: AgentRef) -> Result<Agent, Problem> {
    let (account, agent) = (context.caller.account, params.agent);
    let audit = context.audit(method::AGENTS_RELEASE, target(agent), Value::Null);
    commit(&context, vec![Change::ReleaseAgent { account, agent, at_ms: now_ms() }, audit], agent).await?;
    shown(&context, agent).await
}

fn target(agent: AgentId) -> String {
    format!("agent:{agent}")
}

async fn shown(context: &Context, agent: AgentId) -> Result<Agent, Problem> {
    let row = context.api.store.agent(context.caller.account, agent).await.map_err(internal)?;
    let row = row.ok_or_else(|| not_found("agent", agent))?;
    Ok(present::agent(row, &context.api.sessions.registry))
}
