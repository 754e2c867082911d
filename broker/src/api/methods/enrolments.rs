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
use crate::auth::internal;
use crate::auth::keys::{self, Kind};
use crate::clock::now_ms;
use crate::limits::{MAX_ENROLMENT_LIFETIME, MAX_ENROLMENTS};
use crate::store::{Bound, Change, CommitError};

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
    let (token, enrolment, changes) = new_enrolment(account, params.expires_in_s)?;
    let detail = json!({ "expires_ms": enrolment.expires_ms });
    let audit = context.audit("enrolments.create", format!("enrolment:{}", enrolment.id), detail);
    let changes = changes.into_iter().chain([audit]).collect();
    api.store.commit(changes).await.map_err(internal_commit)?;
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

/// A new token: its text, to be shown once, how the account sees it, and the changes that make it good, within what an account
/// may have.
pub(crate) fn new_enrolment(
    account: AccountId,
    expires_in_s: Option<u64>,
) -> Result<(Zeroizing<String>, Enrolment, [Change; 2]), Problem> {
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
    let bound = Bound::Enrolments { most: MAX_ENROLMENTS, now_ms: created_ms };
    let create = Change::CreateEnrolment { account, id, hash, created_ms, expires_ms };
    let changes = [create, Change::AtMost { account, bound }];
    let shown = Enrolment { id, created_ms, expires_ms, used_by: None };
    Ok((keys::make(Kind::Enrolment, &random), shown, changes))
}
