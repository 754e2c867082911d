//! `users.*`.

use inkwire_protocol::app::{
    Problem, ProblemKind, User, UserCreate, UserLink, UserPassword, UserRef, UserUpdate, Users,
};
use inkwire_protocol::ids::{AccountId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::session::Done;
use super::{check_name, internal_commit, not_found};
use crate::api::Api;
use crate::api::table::{Context, Nothing};
use crate::auth::links::{new_sign_in, sign_in_link};
use crate::auth::{Revoked, internal};
use crate::clock::now_ms;
use crate::limits::SIGN_IN_LIFETIME;
use crate::store::{Bound, Change, CommitError, Outcome, UserRow};

/// As the account sees them.
pub(crate) fn shown(row: UserRow) -> User {
    User {
        id: row.id,
        name: row.name,
        role: row.role,
        disabled: row.disabled,
        has_password: row.password.is_some(),
        created_ms: row.created_ms,
        last_sign_in_ms: row.last_sign_in_ms,
    }
}

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Users, Problem> {
    let rows = context.api.store.users(context.caller.account).await.map_err(internal)?;
    Ok(Users { users: rows.into_iter().map(shown).collect() })
}

pub(in crate::api) async fn create(context: Context, params: UserCreate) -> Result<User, Problem> {
    let audit = |user: &UserRow| context.audit("users.create", format!("user:{}", user.id), named(user));
    make(&context.api, context.caller.account, params, audit).await.map(shown)
}

/// What the audit log says of a new person.
pub(crate) fn named(user: &UserRow) -> Value {
    json!({ "name": user.name, "role": user.role })
}

/// Makes a person of an account, within its quota, and writes down who did.
pub(crate) async fn make(
    api: &Api,
    account: AccountId,
    wish: UserCreate,
    audit: impl FnOnce(&UserRow) -> Change,
) -> Result<UserRow, Problem> {
    check_name(&wish.name)?;
    let quota = api.auth.at_most(account, |limits| limits.users.map(Bound::Users)).await?;
    let password = match &wish.password {
        Some(password) => Some(api.auth.passwords.hash(password).await?),
        None => None,
    };
    let user = UserRow {
        id: UserId::from_uuid(Uuid::now_v7()),
        account,
        name: wish.name,
        role: wish.role,
        password,
        disabled: false,
        created_ms: now_ms(),
        last_sign_in_ms: None,
    };
    let audit = audit(&user);
    let changes = [Change::CreateUser(user.clone()), audit].into_iter().chain(quota).collect();
    api.store.commit(changes).await.map_err(internal_commit)?;
    Ok(user)
}

pub(in crate::api) async fn update(context: Context, params: UserUpdate) -> Result<User, Problem> {
    if let Some(name) = &params.name {
        check_name(name)?;
    }
    let detail = json!({ "name": params.name, "role": params.role, "disabled": params.disabled });
    let change = Change::UpdateUser {
        account: context.caller.account,
        user: params.user,
        name: params.name,
        role: params.role,
        disabled: params.disabled,
    };
    changed(&context, "users.update", params.user, change, detail).await
}

pub(in crate::api) async fn set_password(context: Context, params: UserPassword) -> Result<User, Problem> {
    // Looked up first, so that a foreign id costs no hash.
    let found = context.api.store.user(context.caller.account, params.user).await.map_err(internal)?;
    found.ok_or_else(|| not_found("user", params.user))?;
    let password = match &params.password {
        Some(password) => Some(context.api.auth.passwords.hash(password).await?),
        None => None,
    };
    let detail = json!({ "password": password.is_some() });
    let (account, user) = (context.caller.account, params.user);
    let change = Change::SetPassword { account, user, password, keep: None };
    changed(&context, "users.set_password", user, change, detail).await
}

pub(in crate::api) async fn remove(context: Context, params: UserRef) -> Result<Done, Problem> {
    let change = Change::RemoveUser { account: context.caller.account, user: params.user };
    changed(&context, "users.remove", params.user, change, json!({})).await?;
    Ok(Done {})
}

pub(in crate::api) async fn link(context: Context, params: UserRef) -> Result<UserLink, Problem> {
    let found = context.api.store.user(context.caller.account, params.user).await.map_err(internal)?;
    let user = found.ok_or_else(|| not_found("user", params.user))?;
    if user.disabled {
        return Err(
            ProblemKind::Conflict.because(format!("user `{}` is disabled: enable them first", user.name))
        );
    }
    let (token, change) = new_sign_in(user.id);
    let audit = context.audit("users.link", format!("user:{}", user.id), json!({ "name": user.name }));
    context.api.store.commit(vec![change, audit]).await.map_err(internal_commit)?;
    let link = sign_in_link(&context.api.url, &token);
    Ok(UserLink { link, expires_in_s: SIGN_IN_LIFETIME.as_secs() })
}

/// Commits a change of a person with its audit entry; what they have open is judged anew.
async fn changed(
    context: &Context,
    action: &'static str,
    user: UserId,
    change: Change,
    detail: Value,
) -> Result<User, Problem> {
    let audit = context.audit(action, format!("user:{user}"), detail);
    let outcomes = context.api.store.commit(vec![change, audit]).await.map_err(|error| {
        if matches!(error, CommitError::NotFound(_)) {
            not_found("user", user)
        } else {
            internal_commit(error)
        }
    })?;
    context.api.auth.revoke(Revoked::User(user));
    match outcomes.into_iter().next() {
        Some(Outcome::User(row)) => Ok(shown(*row)),
        _ => Err(ProblemKind::Internal.because("the store gave no user")),
    }
}
