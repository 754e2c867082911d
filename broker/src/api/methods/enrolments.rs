//! `enrolments.*`.

use inkwire_protocol::app::{
    Enrolment, EnrolmentCreate, EnrolmentCreated, EnrolmentRef, Enrolments, Problem, ProblemKind,
};
use inkwire_protocol::ids::{AccountId, EnrolmentId, Sha256Digest};
use rand::Rng as _;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::session::Done;
use super::{internal_commit, not_found};
use crate::api::table::{Context, Nothing};
use crate::auth::keys::{self, Kind};
use crate::auth::{internal, quotas};
use crate::clock::now_ms;
use crate::limits::{MAX_ENROLMENT_LIFETIME, MAX_ENROLMENTS};
use crate::store::{Change, CommitError};

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Enrolments, Problem> {
    let store = &context.api.store;
    let enrolments = store.enrolments(context.caller.account, MAX_ENROLMENTS).await.map_err(internal)?;
    Ok(Enrolments { enrolments })
}

pub(in crate::api) async fn create(
    context: Context,
    params: EnrolmentCreate,
) -> Result<EnrolmentCreated, Problem> {
    let (api, account) = (&context.api, context.caller.account);
    let all = api.store.enrolments(account, MAX_ENROLMENTS).await.map_err(internal)?;
    let waiting = all.iter().filter(|one| one.used_by.is_none() && one.expires_ms > now_ms()).count();
    quotas::admit_one("enrolment tokens", u32::try_from(waiting).unwrap_or(u32::MAX), Some(MAX_ENROLMENTS))?;
    let (token, enrolment, change) = new_enrolment(account, params.expires_in_s)?;
    let detail = json!({ "expires_ms": enrolment.expires_ms });
    let audit = context.audit("enrolments.create", format!("enrolment:{}", enrolment.id), detail);
    api.store.commit(vec![change, audit]).await.map_err(internal_commit)?;
    Ok(EnrolmentCreated { enrolment, token: token.to_string(), pair_url: api.url.to_string() })
}

pub(in crate::api) async fn revoke(context: Context, params: EnrolmentRef) -> Result<Done, Problem> {
    let (account, enrolment) = (context.caller.account, params.enrolment);
    let audit = context.audit("enrolments.revoke", format!("enrolment:{enrolment}"), json!({}));
    let changes = vec![Change::RevokeEnrolment { account, enrolment }, audit];
    context.api.store.commit(changes).await.map_err(|error| {
        if matches!(error, CommitError::NotFound(_)) {
            not_found("unused enrolment", enrolment)
        } else {
            internal_commit(error)
        }
    })?;
    Ok(Done {})
}

/// A new token: its text, to be shown once, how the account sees it, and the change that makes it good.
pub(crate) fn new_enrolment(
    account: AccountId,
    expires_in_s: Option<u64>,
) -> Result<(Zeroizing<String>, Enrolment, Change), Problem> {
    let most = MAX_ENROLMENT_LIFETIME.as_secs();
    let expires_in_s = expires_in_s.unwrap_or(most);
    if expires_in_s == 0 || expires_in_s > most {
        let detail = format!("expires_in_s is {expires_in_s}; it must be 1 to {most}");
        return Err(ProblemKind::InvalidParams.because(detail).at("/expires_in_s"));
    }
    let mut random = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    let (id, created_ms) = (EnrolmentId::from_uuid(Uuid::now_v7()), now_ms());
    let expires_ms = created_ms + expires_in_s * 1000;
    let hash = Sha256Digest::of(&random[..]);
    let change = Change::CreateEnrolment { account, id, hash, created_ms, expires_ms };
    let shown = Enrolment { id, created_ms, expires_ms, used_by: None };
    Ok((keys::make(Kind::Enrolment, &random), shown, change))
}
