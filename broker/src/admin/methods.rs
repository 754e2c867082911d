//! What an operator can do. `account` may be left out everywhere: it is `default` then.

use inkwire_protocol::app::{Problem, ProblemKind, Role, Scope, UserCreate};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AccountId, AgentId, KeyId};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Admin, people};
use crate::api::methods::{check_name, enrolments, internal_commit, keys, users};
use crate::api::table::{Nothing, read};
use crate::api::{new_key, present};
use crate::auth::links::{ACCOUNT, new_sign_in, sign_in_link};
use crate::auth::{Revoked, internal};
use crate::clock::now_ms;
use crate::limits::{MAX_ADMIN_LIST, SIGN_IN_LIFETIME};
use crate::store::{AccountRow, Change, Outcome, UserRow};

pub(super) type Answer = Result<Value, Problem>;

/// Calls a method by its name.
pub(super) async fn call(admin: &Admin, name: &str, params: Value) -> Answer {
    match name {
        "status" => status(admin, read(params)?).await,
        "account.create" => account_create(admin, read(params)?).await,
        "account.list" => account_list(admin, read(params)?).await,
        "user.create" => user_create(admin, read(params)?).await,
        "user.list" => user_list(admin, read(params)?).await,
        "user.link" => user_link(admin, read(params)?).await,
        "user.update" => people::user_update(admin, read(params)?).await,
        "user.set_password" => people::user_set_password(admin, read(params)?).await,
        "user.remove" => people::user_remove(admin, read(params)?).await,
        "limits.get" => people::limits_get(admin, read(params)?).await,
        "limits.set" => people::limits_set(admin, read(params)?).await,
        "audit.list" => people::audit_list(admin, read(params)?).await,
        "enrolment.list" => people::enrolment_list(admin, read(params)?).await,
        "enrolment.revoke" => people::enrolment_revoke(admin, read(params)?).await,
        "key.create" => key_create(admin, read(params)?).await,
        "key.list" => key_list(admin, read(params)?).await,
        "key.revoke" => key_revoke(admin, read(params)?).await,
        "enrolment.create" => enrolment_create(admin, read(params)?).await,
        "agent.list" => agent_list(admin, read(params)?).await,
        "agent.revoke" => agent_revoke(admin, read(params)?).await,
        "agent.release" => agent_release(admin, read(params)?).await,
        _ => Err(ProblemKind::UnknownMethod.because(format!("there is no admin method `{name}`"))),
    }
}

pub(super) fn default_account() -> String {
    ACCOUNT.to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAccount {
    #[serde(default = "default_account")]
    account: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    #[serde(default = "default_account")]
    account: String,
    name: String,
    #[serde(default = "owner")]
    role: Role,
    password: Option<String>,
}

const fn owner() -> Role {
    Role::Owner
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfUser {
    #[serde(default = "default_account")]
    account: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    #[serde(default = "default_account")]
    account: String,
    name: String,
    scope: Scope,
    expires_in_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfKey {
    #[serde(default = "default_account")]
    account: String,
    key: KeyId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEnrolment {
    #[serde(default = "default_account")]
    account: String,
    expires_in_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAgent {
    #[serde(default = "default_account")]
    account: String,
    agent: AgentId,
}

async fn status(admin: &Admin, _: Nothing) -> Answer {
    let by_name = |counts: Vec<(&'static str, u64)>| -> serde_json::Map<String, Value> {
        counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
    };
    let counters = &admin.api.sessions.counters;
    Ok(json!({
        "version": crate::VERSION,
        "url": admin.url.to_string(),
        "started_ms": admin.started_ms,
        "store_epoch": admin.api.store.store_epoch(),
        "sessions": admin.api.sessions.registry.len(),
        "accounts": admin.api.store.accounts().await.map_err(internal)?.len(),
        "counters": by_name(counters.all()),
        "problems": by_name(counters.problems()),
    }))
}

async fn account_create(admin: &Admin, params: Named) -> Answer {
    check_name(&params.name)?;
    let row =
        AccountRow { id: AccountId::from_uuid(Uuid::now_v7()), name: params.name, created_ms: now_ms() };
    let answer = json!({ "id": row.id, "name": row.name });
    let audit = admin.audit(row.id, "accounts.create", String::new(), answer.clone());
    commit(admin, vec![Change::CreateAccount(row), audit]).await?;
    Ok(answer)
}

async fn account_list(admin: &Admin, _: Nothing) -> Answer {
    let accounts = admin.api.store.accounts().await.map_err(internal)?;
    let shown = |row: &AccountRow| json!({ "id": row.id, "name": row.name, "created_ms": row.created_ms });
    Ok(json!({ "accounts": accounts.iter().map(shown).collect::<Vec<_>>() }))
}

async fn user_create(admin: &Admin, params: NewUser) -> Answer {
    let NewUser { account: of, name, role, password } = params;
    let account = account(admin, &of).await?.id;
    let audit = |user: &UserRow| {
        admin.audit(account, "users.create", format!("user:{}", user.id), users::named(user))
    };
    let user = users::make(&admin.api, account, UserCreate { name, role, password }, audit).await?;
    Ok(json!({ "id": user.id, "name": user.name, "role": user.role }))
}

async fn user_list(admin: &Admin, params: OfAccount) -> Answer {
    let account = account(admin, &params.account).await?;
    let users = admin.api.store.users(account.id).await.map_err(internal)?;
    Ok(json!({ "users": users.into_iter().map(users::shown).collect::<Vec<_>>() }))
}

async fn user_link(admin: &Admin, params: OfUser) -> Answer {
    let account = account(admin, &params.account).await?;
    let user = people::user(admin, &account, &params.user).await?;
    let (token, change) = new_sign_in(user.id);
    let audit =
        admin.audit(account.id, "users.link", format!("user:{}", user.id), json!({ "name": user.name }));
    commit(admin, vec![change, audit]).await?;
    let console = admin.api.console.map(|at| format!("http://{at}/sign-in?token={}", token.as_str()));
    Ok(json!({
        "link": sign_in_link(&admin.url, &token),
        "console_link": console,
        "expires_in_s": SIGN_IN_LIFETIME.as_secs(),
    }))
}

async fn key_create(admin: &Admin, params: NewKey) -> Answer {
    check_name(&params.name)?;
    let account = account(admin, &params.account).await?;
    let (text, mut row) = new_key(account.id, params.name, params.scope);
    row.expires_ms =
        params.expires_in_s.map(|seconds| row.created_ms.saturating_add(seconds.saturating_mul(1000)));
    let answer = json!({ "id": row.id, "name": row.name, "scope": row.scope, "key": text.as_str(), "url": admin.url.to_string() });
    let detail = json!({ "name": row.name, "scope": row.scope, "expires_ms": row.expires_ms });
    let audit = admin.audit(account.id, "keys.create", format!("key:{}", row.id), detail);
    keys::add(&admin.api, row, audit).await?;
    Ok(answer)
}

async fn key_list(admin: &Admin, params: OfAccount) -> Answer {
    let account = account(admin, &params.account).await?;
    let keys = admin.api.store.keys(account.id, None, MAX_ADMIN_LIST).await.map_err(internal)?;
    Ok(json!({ "keys": keys.into_iter().map(keys::shown).collect::<Vec<_>>() }))
}

async fn key_revoke(admin: &Admin, params: OfKey) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let audit = admin.audit(account, "keys.revoke", format!("key:{}", params.key), json!({}));
    commit(admin, vec![Change::RevokeKey { account, key: params.key, at_ms: now_ms() }, audit]).await?;
    admin.api.auth.revoke(Revoked::Key(params.key));
    Ok(json!({}))
}

async fn enrolment_create(admin: &Admin, params: NewEnrolment) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let (token, enrolment, changes) = enrolments::new_enrolment(account, params.expires_in_s)?;
    let detail = json!({ "expires_ms": enrolment.expires_ms });
    let audit = admin.audit(account, "enrolments.create", format!("enrolment:{}", enrolment.id), detail);
    commit(admin, changes.into_iter().chain([audit]).collect()).await?;
    let expires_in_s = (enrolment.expires_ms - enrolment.created_ms) / 1000;
    Ok(json!({
        "id": enrolment.id, "token": token.as_str(), "expires_in_s": expires_in_s, "pair_url": admin.url.to_string(),
    }))
}

async fn agent_list(admin: &Admin, params: OfAccount) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let rows = admin.api.store.agents(account).await.map_err(internal)?;
    let registry = &admin.api.sessions.registry;
    let agents: Vec<_> = rows.into_iter().map(|row| present::agent(row, registry)).collect();
    Ok(json!({ "agents": agents }))
}

async fn agent_revoke(admin: &Admin, params: OfAgent) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let agent = params.agent;
    let audit = admin.audit(account, "agents.revoke", format!("agent:{agent}"), json!({}));
    commit(admin, vec![Change::RevokeAgent { account, agent, at_ms: now_ms() }, audit]).await?;
    admin.api.sessions.end(agent, CloseCode::Revoked);
    admin.api.jobs.agent_revoked(account, agent).await;
    Ok(json!({}))
}

async fn agent_release(admin: &Admin, params: OfAgent) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let agent = params.agent;
    let audit = admin.audit(account, "agents.release", format!("agent:{agent}"), json!({}));
    commit(admin, vec![Change::ReleaseAgent { account, agent, at_ms: now_ms() }, audit]).await?;
    Ok(json!({}))
}

pub(super) async fn account(admin: &Admin, name: &str) -> Result<AccountRow, Problem> {
    let found = admin.api.store.account_named(name).await.map_err(internal)?;
    found.ok_or_else(|| {
        let detail = format!("there is no account `{name}`: see account.list, or make it by account.create");
        ProblemKind::NotFound.because(detail).at("/account")
    })
}

pub(super) async fn commit(admin: &Admin, changes: Vec<Change>) -> Result<Vec<Outcome>, Problem> {
    admin.api.store.commit(changes).await.map_err(internal_commit)
}
