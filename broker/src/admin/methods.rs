//! What an operator can do. `account` may be left out everywhere: it is `default` then.

use inkwire_protocol::app::{Problem, ProblemKind, Role, Scope};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AccountId, AgentId, EnrolmentId, KeyId, Sha256Digest, UserId};
use inkwire_protocol::limits::MAX_NAME_CHARS;
use rand::Rng as _;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Admin;
use crate::api::table::{Nothing, read};
use crate::api::{new_key, present};
use crate::auth::keys::{self, Kind};
use crate::auth::{Revoked, internal};
use crate::clock::now_ms;
use crate::first_start::{ACCOUNT, new_sign_in, sign_in_link};
use crate::limits::{MAX_ADMIN_LIST, MAX_ENROLMENT_LIFETIME, SIGN_IN_LIFETIME};
use crate::store::{AccountRow, Change, CommitError, UserRow};

type Answer = Result<Value, Problem>;

/// Calls a method by its name.
pub(super) async fn call(admin: &Admin, name: &str, params: Value) -> Answer {
    match name {
        "status" => status(admin, read(params)?).await,
        "account.create" => account_create(admin, read(params)?).await,
        "account.list" => account_list(admin, read(params)?).await,
        "user.create" => user_create(admin, read(params)?).await,
        "user.list" => user_list(admin, read(params)?).await,
        "user.link" => user_link(admin, read(params)?).await,
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

fn default_account() -> String {
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
    commit(admin, vec![Change::CreateAccount(row)]).await?;
    Ok(answer)
}

async fn account_list(admin: &Admin, _: Nothing) -> Answer {
    let accounts = admin.api.store.accounts().await.map_err(internal)?;
    let shown = |row: &AccountRow| json!({ "id": row.id, "name": row.name, "created_ms": row.created_ms });
    Ok(json!({ "accounts": accounts.iter().map(shown).collect::<Vec<_>>() }))
}

async fn user_create(admin: &Admin, params: NewUser) -> Answer {
    check_name(&params.name)?;
    let row = UserRow {
        id: UserId::from_uuid(Uuid::now_v7()),
        account: account(admin, &params.account).await?.id,
        name: params.name,
        role: params.role,
        password: None,
        disabled: false,
        created_ms: now_ms(),
        last_sign_in_ms: None,
    };
    let answer = json!({ "id": row.id, "name": row.name, "role": row.role });
    commit(admin, vec![Change::CreateUser(row)]).await?;
    Ok(answer)
}

async fn user_list(admin: &Admin, params: OfAccount) -> Answer {
    let account = account(admin, &params.account).await?;
    let users = admin.api.store.users(account.id).await.map_err(internal)?;
    let shown = |row: &UserRow| json!({ "id": row.id, "name": row.name, "role": row.role, "created_ms": row.created_ms });
    Ok(json!({ "users": users.iter().map(shown).collect::<Vec<_>>() }))
}

async fn user_link(admin: &Admin, params: OfUser) -> Answer {
    let account = account(admin, &params.account).await?;
    let users = admin.api.store.users(account.id).await.map_err(internal)?;
    let user = users.into_iter().find(|row| row.name == params.user);
    let user = user.ok_or_else(|| {
        let detail = format!("account `{}` has no user `{}`", account.name, params.user);
        ProblemKind::NotFound.because(detail).at("/user")
    })?;
    let (token, change) = new_sign_in(user.id);
    commit(admin, vec![change]).await?;
    Ok(json!({ "link": sign_in_link(&admin.url, &token), "expires_in_s": SIGN_IN_LIFETIME.as_secs() }))
}

async fn key_create(admin: &Admin, params: NewKey) -> Answer {
    check_name(&params.name)?;
    let account = account(admin, &params.account).await?;
    let (text, mut row) = new_key(account.id, params.name, params.scope);
    row.expires_ms =
        params.expires_in_s.map(|seconds| row.created_ms.saturating_add(seconds.saturating_mul(1000)));
    let answer = json!({ "id": row.id, "name": row.name, "scope": row.scope, "key": text.as_str(), "url": admin.url.to_string() });
    commit(admin, vec![Change::CreateKey(row)]).await?;
    Ok(answer)
}

async fn key_list(admin: &Admin, params: OfAccount) -> Answer {
    let account = account(admin, &params.account).await?;
    let keys = admin.api.store.keys(account.id, None, MAX_ADMIN_LIST).await.map_err(internal)?;
    let shown = keys.iter().map(|row| {
        json!({
            "id": row.id, "name": row.name, "scope": row.scope, "created_ms": row.created_ms,
            "expires_ms": row.expires_ms, "revoked_ms": row.revoked_ms,
        })
    });
    Ok(json!({ "keys": shown.collect::<Vec<_>>() }))
}

async fn key_revoke(admin: &Admin, params: OfKey) -> Answer {
    let account = account(admin, &params.account).await?.id;
    commit(admin, vec![Change::RevokeKey { account, key: params.key, at_ms: now_ms() }]).await?;
    admin.api.revoke(Revoked::Key(params.key));
    Ok(json!({}))
}

async fn enrolment_create(admin: &Admin, params: NewEnrolment) -> Answer {
    let most = MAX_ENROLMENT_LIFETIME.as_secs();
    let expires_in_s = params.expires_in_s.unwrap_or(most);
    if expires_in_s == 0 || expires_in_s > most {
        let detail = format!("expires_in_s is {expires_in_s}; it must be 1 to {most}");
        return Err(ProblemKind::InvalidParams.because(detail).at("/expires_in_s"));
    }
    let account = account(admin, &params.account).await?.id;
    let mut random = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    let token = keys::make(Kind::Enrolment, &random);
    let (id, created_ms) = (EnrolmentId::from_uuid(Uuid::now_v7()), now_ms());
    let hash = Sha256Digest::of(&random[..]);
    let expires_ms = created_ms + expires_in_s * 1000;
    commit(admin, vec![Change::CreateEnrolment { account, id, hash, created_ms, expires_ms }]).await?;
    Ok(json!({ "token": token.as_str(), "expires_in_s": expires_in_s, "pair_url": admin.url.to_string() }))
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
    commit(admin, vec![Change::RevokeAgent { account, agent, at_ms: now_ms() }]).await?;
    admin.api.sessions.end(agent, CloseCode::Revoked);
    admin.api.jobs.agent_revoked(account, agent).await;
    Ok(json!({}))
}

async fn agent_release(admin: &Admin, params: OfAgent) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let agent = params.agent;
    commit(admin, vec![Change::ReleaseAgent { account, agent, at_ms: now_ms() }]).await?;
    Ok(json!({}))
}

async fn account(admin: &Admin, name: &str) -> Result<AccountRow, Problem> {
    let found = admin.api.store.account_named(name).await.map_err(internal)?;
    found.ok_or_else(|| {
        let detail = format!("there is no account `{name}`: see account.list, or make it by account.create");
        ProblemKind::NotFound.because(detail).at("/account")
    })
}

fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("a name has 1 to {MAX_NAME_CHARS} characters, and no control characters");
    Err(ProblemKind::InvalidParams.because(detail).at("/name"))
}

async fn commit(admin: &Admin, changes: Vec<Change>) -> Result<(), Problem> {
    match admin.api.store.commit(changes).await {
        Ok(_) => Ok(()),
        Err(error @ CommitError::NotFound(_)) => Err(ProblemKind::NotFound.because(error.to_string())),
        Err(error @ CommitError::Exists(_)) => Err(ProblemKind::Conflict.because(error.to_string())),
        Err(error) => {
            tracing::error!(%error, "an admin change could not be stored");
            Err(ProblemKind::Internal.because("the change could not be stored: see the broker's log"))
        }
    }
}
