//! A one-time sign-in link becomes an API key: `POST /v1/sign-in {"token": "is_..."}`. Who was sent the link sees the key
//! once; the link is dead afterwards.

use inkwire_protocol::app::{Problem, ProblemKind, Scope};
use inkwire_protocol::ids::{AccountId, KeyId};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Api;
use crate::auth::keys::{self, Kind};
use crate::clock::now_ms;
use crate::store::{Change, CommitError, KeyRow, Outcome};

/// The token of a link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) token: String,
}

/// A key, shown once.
#[derive(Serialize)]
pub(crate) struct SignedIn {
    pub(crate) key: String,
    pub(crate) account: AccountId,
    pub(crate) user: String,
    pub(crate) scope: Scope,
}

/// Uses up a link and makes a key of its user's role.
pub(crate) async fn redeem(api: &Api, request: &SignIn) -> Result<SignedIn, Problem> {
    let refused = || {
        let detail = "the sign-in link is not valid, was used or has expired: make another by `inkwire admin user link`";
        ProblemKind::Unauthenticated.because(detail)
    };
    let failed = |error: CommitError| {
        if matches!(error, CommitError::NotFound(_)) {
            return refused();
        }
        tracing::error!(%error, "a sign-in could not be stored");
        ProblemKind::Internal.because("the sign-in could not be stored: see the broker's log")
    };
    let hash = keys::digest(Kind::SignIn, &request.token).ok_or_else(refused)?;
    let used = api.store.commit(vec![Change::UseSignIn { hash, at_ms: now_ms() }]).await.map_err(failed)?;
    let Some(Outcome::User(user)) = used.into_iter().next() else {
        return Err(ProblemKind::Internal.because("the sign-in gave no user"));
    };
    let (key, row) = new_key(user.account, format!("sign-in of {}", user.name), user.role.scope());
    api.store.commit(vec![Change::CreateKey(row)]).await.map_err(failed)?;
    tracing::info!(user = user.name, "signed in by link");
    Ok(SignedIn { key: key.to_string(), account: user.account, user: user.name, scope: user.role.scope() })
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
        hash: inkwire_protocol::ids::Sha256Digest::of(&random[..]),
        scope,
        created_ms: now_ms(),
        expires_ms: None,
        revoked_ms: None,
        last_used_ms: None,
    };
    (text, row)
}
