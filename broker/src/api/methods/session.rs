//! `session.*`: access tokens, tickets, and one's own password.

use inkwire_protocol::app::{OwnPassword, Problem, ProblemKind, Token, TokenRequest};
use serde_json::json;
use uuid::Uuid;

use super::internal_commit;
use crate::api::table::Context;
use crate::auth::gate::lesser;
use crate::auth::rates::{self, Asker};
use crate::auth::tokens::{AUDIENCE, Claims};
use crate::auth::{Principal, Revoked, internal};
use crate::clock::now_ms;
use crate::limits::{MAX_TICKET_LIFETIME, MAX_TOKEN_LIFETIME};
use crate::store::Change;

/// An empty object.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub(in crate::api) struct Done {}

pub(in crate::api) async fn token(context: Context, params: TokenRequest) -> Result<Token, Problem> {
    let caller = &context.caller;
    let seconds = lifetime(&params, MAX_TOKEN_LIFETIME.as_secs())?;
    let (scope, now_s) = (lesser(caller, params.scope)?, now_ms() / 1000);
    must_be_maker(&context)?;
    let (key, sid) = match &caller.principal {
        Principal::Key { id, .. } => (Some(*id), None),
        Principal::User { login, .. } => (None, Some(*login)),
        Principal::Token { .. } => return Err(no_maker()),
    };
    let claims = Claims {
        iss: context.api.auth.tokens.issuer.clone(),
        aud: AUDIENCE.to_owned(),
        sub: caller.principal.label(),
        account: caller.account,
        scope,
        iat: now_s,
        exp: now_s + seconds,
        jti: Uuid::new_v4(),
        key,
        sid,
    };
    let token = context.api.auth.tokens.sign(&claims).map_err(|error| {
        tracing::error!(%error, "an access token could not be signed");
        ProblemKind::Internal.because("the token could not be signed: see the broker's log")
    })?;
    Ok(Token { token, scope, expires_ms: claims.exp * 1000 })
}

pub(in crate::api) async fn ticket(context: Context, params: TokenRequest) -> Result<Token, Problem> {
    let seconds = lifetime(&params, MAX_TICKET_LIFETIME.as_secs())?;
    let scope = lesser(&context.caller, params.scope)?;
    must_be_maker(&context)?;
    let now = now_ms();
    let expires_ms = now + seconds * 1000;
    // What a ticket opens lasts as long as what it was made by, with no more than it was made for.
    let mut caller = context.caller.clone();
    caller.scope = scope;
    let most = crate::auth::Cap { scope, expires_ms: caller.expires_ms.unwrap_or(u64::MAX) };
    let caller = if scope < context.caller.scope { caller.capped(most) } else { caller };
    let text = context.api.auth.tickets.make(caller, expires_ms, now);
    let text = text.ok_or_else(|| {
        let mut problem = ProblemKind::Busy.because("too many tickets are about: try again");
        problem.retry_after_s = Some(MAX_TICKET_LIFETIME.as_secs());
        problem
    })?;
    Ok(Token { token: text.to_string(), scope, expires_ms })
}

pub(in crate::api) async fn set_password(context: Context, params: OwnPassword) -> Result<Done, Problem> {
    let caller = &context.caller;
    let Principal::User { id, login, .. } = &caller.principal else {
        let detail = "only a person who signed in has a password: see users.set_password";
        return Err(ProblemKind::Forbidden.because(detail));
    };
    must_be_maker(&context)?;
    let auth = &context.api.auth;
    let user = context.api.store.user(caller.account, *id).await.map_err(internal)?;
    let kept = user.and_then(|user| user.password);
    if kept.is_some() {
        auth.rates.take(Asker::Name(format!("password of {id}")), rates::sign_in_quota())?;
        let current = params.current.as_deref().unwrap_or_default();
        if !auth.passwords.is_right(current, kept.as_ref()).await? {
            return Err(ProblemKind::Forbidden.because("this is not the current password").at("/current"));
        }
    }
    let password = Some(auth.passwords.hash(&params.password).await?);
    let change = Change::SetPassword { account: caller.account, user: *id, password, keep: Some(*login) };
    let audit = context.audit("session.set_password", format!("user:{id}"), json!({}));
    context.api.store.commit(vec![change, audit]).await.map_err(internal_commit)?;
    auth.revoke(Revoked::User(*id));
    Ok(Done {})
}

fn lifetime(params: &TokenRequest, most: u64) -> Result<u64, Problem> {
    let seconds = params.expires_in_s.unwrap_or(most);
    if (1..=most).contains(&seconds) {
        return Ok(seconds);
    }
    let detail = format!("expires_in_s is {seconds}; it must be 1 to {most}");
    Err(ProblemKind::InvalidParams.because(detail).at("/expires_in_s"))
}

/// Tokens make no tokens, or they would never end.
fn must_be_maker(context: &Context) -> Result<(), Problem> {
    if context.caller.cap.is_some() { Err(no_maker()) } else { Ok(()) }
}

fn no_maker() -> Problem {
    ProblemKind::Forbidden
        .because("this needs an API key or a signed-in person, not an access token or a ticket")
}
