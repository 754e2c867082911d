//! Signing in and out: a one-time link or a password becomes a cookie for a browser (`/v1/session`), or an API key for a
//! shell (`/v1/sign-in`).

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderValue, Response, StatusCode};
use inkwire_protocol::app::{Me, Problem, ProblemKind, Scope, SignIn, SignedIn, Who};
use inkwire_protocol::ids::{AccountId, KeyId, LoginId, Sha256Digest};
use inkwire_protocol::message::clip;
use rand::Rng as _;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::methods::keys::add;
use super::{Api, Asked, problem_response, rest, table};
use crate::addresses::subscriber;
use crate::auth::keys::{self, Kind};
use crate::auth::links::ACCOUNT;
use crate::auth::rates::{self, Asker};
use crate::auth::{Revoked, internal, logins};
use crate::clock::now_ms;
use crate::limits::{LOGIN_LIFETIME, SIGN_IN_KEY_LIFETIME};
use crate::store::{Change, CommitError, KeyRow, LoginRow, NewAudit, Outcome, UserRow};

/// A key for a shell, shown once.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignInKey {
    key: String,
    account: AccountId,
    user: String,
    scope: Scope,
    expires_ms: Option<u64>,
}

/// What these paths are in the OpenAPI document: body and answer of each.
pub(super) fn shapes(generator: &mut SchemaGenerator) -> [Schema; 3] {
    [
        generator.subschema_for::<SignIn>(),
        generator.subschema_for::<SignedIn>(),
        generator.subschema_for::<SignInKey>(),
    ]
}

/// `POST /v1/session`.
pub(super) async fn begin(asked: Asked, params: Map<String, Value>) -> Response<Body> {
    let begun = async {
        let user = who_signs_in(&asked, &table::read(Value::Object(params))?).await?;
        let (secret, row) = new_login(&user);
        let changes = vec![Change::BeginLogin(row.clone()), signed_in(&asked, &user, "session")];
        asked.api.store.commit(changes).await.map_err(failed)?;
        let account = asked.api.store.account(user.account).await.map_err(internal)?;
        let me = Me {
            account: user.account,
            account_name: account.map(|account| account.name).unwrap_or_default(),
            scope: user.role.scope(),
            who: Who::User { id: user.id, name: user.name.clone(), role: user.role },
            expires_ms: Some(logins::ends_ms(&row)),
        };
        tracing::info!(user = user.name, peer = %asked.door.peer.ip(), "signed in");
        Ok((secret, shown(me, &row)))
    };
    let begun: Result<(Zeroizing<String>, SignedIn), Problem> = begun.await;
    match begun {
        Ok((secret, signed_in)) => {
            with_cookie(&asked, Some(&secret), (StatusCode::OK, axum::Json(signed_in)).into_response())
        }
        Err(problem) => problem_response(&asked.api.turned_away("sign-in", problem)),
    }
}

/// `GET /v1/session`: who is signed in by the cookie.
pub(super) async fn look(asked: Asked) -> Response<Body> {
    let looked = async {
        let secret = logins::of_headers(&asked.headers, asked.door.kind).ok_or_else(nobody)?;
        let (caller, row) = asked.api.auth.cookie(secret).await?;
        Ok(shown(caller.me(), &row))
    };
    let looked: Result<SignedIn, Problem> = looked.await;
    match looked {
        Ok(signed_in) => (StatusCode::OK, axum::Json(signed_in)).into_response(),
        Err(problem) => problem_response(&problem),
    }
}

/// `DELETE /v1/session`: signs out; what the session has open is closed.
pub(super) async fn end(asked: Asked) -> Response<Body> {
    let ended = async {
        let secret = logins::of_headers(&asked.headers, asked.door.kind).ok_or_else(nobody)?;
        asked.api.must_be_our_page(&asked.asks(), true)?;
        // An over sign-in is signed out already.
        let Ok((_, row)) = asked.api.auth.cookie(secret).await else { return Ok(()) };
        asked.api.store.commit(vec![Change::EndLogin { login: row.id }]).await.map_err(failed)?;
        asked.api.auth.revoke(Revoked::Login(row.id));
        Ok(())
    };
    let ended: Result<(), Problem> = ended.await;
    match ended {
        Ok(()) => with_cookie(&asked, None, (StatusCode::OK, axum::Json(json!({}))).into_response()),
        Err(problem) => problem_response(&problem),
    }
}

/// `POST /v1/sign-in`: the same as [`begin`] for who keeps a key instead of a cookie.
pub(super) async fn key(asked: Asked, params: Map<String, Value>) -> Response<Body> {
    let made = async {
        let user = who_signs_in(&asked, &table::read(Value::Object(params))?).await?;
        let (key, mut row) = new_key(user.account, format!("sign-in of {}", user.name), user.role.scope());
        row.user = Some(user.id);
        row.expires_ms = Some(row.created_ms + SIGN_IN_KEY_LIFETIME.as_millis() as u64);
        let expires_ms = row.expires_ms;
        add(&asked.api, row, signed_in(&asked, &user, "key")).await?;
        tracing::info!(user = user.name, peer = %asked.door.peer.ip(), "signed in for a key");
        let scope = user.role.scope();
        let key =
            SignInKey { key: key.to_string(), account: user.account, user: user.name, scope, expires_ms };
        serde_json::to_value(key).map_err(|error| ProblemKind::Internal.because(error.to_string()))
    };
    rest::respond(made.await.map_err(|problem| asked.api.turned_away("sign-in", problem)))
}

/// Who a link or a password is. Tries are counted by address, and by name whether there is such a person or not.
async fn who_signs_in(asked: &Asked, request: &SignIn) -> Result<UserRow, Problem> {
    let api = &asked.api;
    api.must_be_our_page(&asked.asks(), false)?;
    let address = Asker::Address(subscriber(asked.door.peer.ip()));
    api.auth.rates.take(address, rates::sign_in_quota())?;
    match (&request.link, &request.user, &request.password) {
        (Some(link), None, None) => by_link(api, link).await,
        (None, Some(user), Some(password)) => {
            let account = request.account.as_deref().unwrap_or(ACCOUNT);
            api.auth.rates.take(Asker::Name(format!("{account}/{user}")), rates::sign_in_quota())?;
            by_password(api, account, user, password).await
        }
        _ => Err(ProblemKind::InvalidParams.because("send either `link`, or `user` and `password`")),
    }
}

async fn by_link(api: &Api, link: &str) -> Result<UserRow, Problem> {
    let refused = || {
        let detail = "the sign-in link is not valid, was used or has expired: make another by `inkwire admin user link`";
        ProblemKind::Unauthenticated.because(detail)
    };
    let hash = keys::digest(Kind::SignIn, link).ok_or_else(refused)?;
    match api.store.commit(vec![Change::UseSignIn { hash, at_ms: now_ms() }]).await {
        Ok(outcomes) => match outcomes.into_iter().next() {
            Some(Outcome::User(user)) => Ok(*user),
            _ => Err(ProblemKind::Internal.because("the sign-in gave no user")),
        },
        Err(CommitError::NotFound(_)) => Err(refused()),
        Err(error) => Err(failed(error)),
    }
}

/// An unknown account, an unknown person, a disabled one and a wrong password take the same path and time.
async fn by_password(api: &Api, account: &str, user: &str, password: &str) -> Result<UserRow, Problem> {
    let account = api.store.account_named(account).await.map_err(internal)?;
    let user = match account {
        Some(account) => api.store.user_named(account.id, user).await.map_err(internal)?,
        None => None,
    };
    let kept = user.as_ref().filter(|user| !user.disabled).and_then(|user| user.password.as_ref());
    let right = api.auth.passwords.is_right(password, kept).await?;
    user.filter(|_| right)
        .ok_or_else(|| ProblemKind::Unauthenticated.because("account, user or password is wrong"))
}

fn new_login(user: &UserRow) -> (Zeroizing<String>, LoginRow) {
    let mut random = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    let now = now_ms();
    let row = LoginRow {
        id: LoginId::from_uuid(Uuid::now_v7()),
        hash: Sha256Digest::of(&random[..]),
        account: user.account,
        user: user.id,
        created_ms: now,
        last_used_ms: now,
        expires_ms: now + LOGIN_LIFETIME.as_millis() as u64,
    };
    (keys::make(Kind::Login, &random), row)
}

fn shown(me: Me, row: &LoginRow) -> SignedIn {
    SignedIn { me, idle_expires_ms: logins::ends_ms(row), expires_ms: row.expires_ms }
}

/// That somebody signed in, and from where.
fn signed_in(asked: &Asked, user: &UserRow, what: &str) -> Change {
    let agent = asked.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Change::Audit(Box::new(NewAudit {
        account: user.account,
        at_ms: now_ms(),
        who: format!("user:{}", user.id),
        who_name: user.name.clone(),
        address: Some(asked.door.peer.ip()),
        action: "session.begin",
        target: format!("user:{}", user.id),
        detail: json!({ "for": what, "user_agent": clip(agent) }),
    }))
}

fn with_cookie(asked: &Asked, secret: Option<&str>, mut response: Response<Body>) -> Response<Body> {
    let cookie = Zeroizing::new(logins::set_cookie(secret, asked.door.kind));
    match HeaderValue::from_str(&cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            response.headers_mut().insert(SET_COOKIE, value);
            response
        }
        Err(error) => problem_response(&ProblemKind::Internal.because(error.to_string())),
    }
}

fn nobody() -> Problem {
    ProblemKind::Unauthenticated.because("nobody is signed in: POST /v1/session")
}

#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn failed(error: CommitError) -> Problem {
    tracing::error!(%error, "a sign-in could not be stored");
    ProblemKind::Internal.because("the sign-in could not be stored: see the broker's log")
}

/// A new key: its text, to be shown once, and its row.
pub(crate) fn new_key(account: AccountId, name: String, scope: Scope) -> (Zeroizing<String>, KeyRow) {
    let mut random = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    let text = keys::make(Kind::Key, &random);
    let row = KeyRow {
        id: KeyId::from_uuid(Uuid::now_v7()),
        account,
        name,
        hash: Sha256Digest::of(&random[..]),
        scope,
        created_ms: now_ms(),
        expires_ms: None,
        revoked_ms: None,
        last_used_ms: None,
        user: None,
    };
    (text, row)
}
