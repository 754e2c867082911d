//! What an operator can do about people, limits, enrolment and the audit log.

use inkwire_protocol::app::{AuditList, LimitsSet, Problem, ProblemKind, Role};
use inkwire_protocol::ids::{EnrolmentId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use super::methods::{Answer, account, commit, default_account};
use crate::api::methods::{check_name, limits, users};
use crate::auth::{Revoked, internal, quotas};
use crate::limits::{MAX_ENROLMENTS, MAX_PAGE_JOBS};
use crate::store::{AccountRow, Change, Outcome, UserRow};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    #[serde(default = "default_account")]
    account: String,
    user: String,
    name: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    #[serde(default = "default_account")]
    account: String,
    user: String,
    /// None takes it away.
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    #[serde(default = "default_account")]
    account: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    #[serde(default = "default_account")]
    account: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    #[serde(default = "default_account")]
    account: String,
    limits: LimitsSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    #[serde(default = "default_account")]
    account: String,
    enrolment: EnrolmentId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(default = "default_account")]
    account: String,
    #[serde(default)]
    filter: AuditList,
}

pub(super) async fn user_update(admin: &Admin, params: Update) -> Answer {
    if let Some(name) = &params.name {
        check_name(name)?;
    }
    let of = account(admin, &params.account).await?;
    let user = user(admin, &of, &params.user).await?.id;
    let detail = json!({ "name": params.name, "role": params.role, "disabled": params.disabled });
    let Update { name, role, disabled, .. } = params;
    let change = Change::UpdateUser { account: of.id, user, name, role, disabled };
    changed(admin, &of, "users.update", user, change, detail).await
}

pub(super) async fn user_set_password(admin: &Admin, params: Password) -> Answer {
    let of = account(admin, &params.account).await?;
    let user = user(admin, &of, &params.user).await?.id;
    let password = match &params.password {
        Some(password) => Some(admin.api.auth.passwords.hash(password).await?),
        None => None,
    };
    let detail = json!({ "password": password.is_some() });
    let change = Change::SetPassword { account: of.id, user, password, keep: None };
    changed(admin, &of, "users.set_password", user, change, detail).await
}

pub(super) async fn user_remove(admin: &Admin, params: Remove) -> Answer {
    let of = account(admin, &params.account).await?;
    let user = user(admin, &of, &params.user).await?.id;
    changed(admin, &of, "users.remove", user, Change::RemoveUser { account: of.id, user }, json!({})).await?;
    Ok(json!({}))
}

async fn changed(
    admin: &Admin,
    of: &AccountRow,
    action: &'static str,
    user: UserId,
    change: Change,
    detail: Value,
) -> Answer {
    let audit = admin.audit(of.id, action, format!("user:{user}"), detail);
    let outcomes = commit(admin, vec![change, audit]).await?;
    admin.api.auth.revoke(Revoked::User(user));
    match outcomes.into_iter().next() {
        Some(Outcome::User(row)) => Ok(json!(users::shown(*row))),
        _ => Err(ProblemKind::Internal.because("the store gave no user")),
    }
}

pub(super) async fn limits_get(admin: &Admin, params: Of) -> Answer {
    Ok(json!(limits::of(&admin.api, account(admin, &params.account).await?.id).await?))
}

pub(super) async fn limits_set(admin: &Admin, params: Set) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let own = admin.api.store.account_limits(account).await.map_err(internal)?;
    let limits = quotas::changed(&admin.api.auth.broker_limits, &own, &params.limits)?;
    let audit = admin.audit(account, "limits.set", String::new(), json!({ "limits": params.limits }));
    commit(admin, vec![Change::SetLimits { account, limits }, audit]).await?;
    admin.api.auth.revoke(Revoked::Limits(account));
    Ok(json!(limits::of(&admin.api, account).await?))
}

pub(super) async fn audit_list(admin: &Admin, params: List) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let limit = params.filter.limit.unwrap_or(50).min(MAX_PAGE_JOBS);
    let filter = AuditList { limit: Some(limit), ..params.filter };
    Ok(json!({ "entries": admin.api.store.audit(account, &filter).await.map_err(internal)? }))
}

pub(super) async fn enrolment_list(admin: &Admin, params: Of) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let enrolments = admin.api.store.enrolments(account, MAX_ENROLMENTS).await.map_err(internal)?;
    Ok(json!({ "enrolments": enrolments }))
}

pub(super) async fn enrolment_revoke(admin: &Admin, params: Revoke) -> Answer {
    let account = account(admin, &params.account).await?.id;
    let enrolment = params.enrolment;
    let audit = admin.audit(account, "enrolments.revoke", format!("enrolment:{enrolment}"), json!({}));
    commit(admin, vec![Change::RevokeEnrolment { account, enrolment }, audit]).await?;
    Ok(json!({}))
}

/// The person of this name.
pub(super) async fn user(admin: &Admin, account: &AccountRow, name: &str) -> Result<UserRow, Problem> {
    let found = admin.api.store.user_named(account.id, name).await.map_err(internal)?;
    found.ok_or_else(|| {
        let detail = format!("account `{}` has no user `{name}`", account.name);
        ProblemKind::NotFound.because(detail).at("/user")
    })
}
