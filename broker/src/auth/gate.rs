//! Who stands behind a key, a cookie, a token or a ticket; and whether they still do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inkwire_protocol::app::{AccountLimits, Problem, ProblemKind, Scope};
use inkwire_protocol::ids::{AccountId, KeyId, LoginId, Sha256Digest, UserId};
use tokio::sync::broadcast;
use tokio::time::Instant;
use uuid::Uuid;

use super::issuers::{Issuers, Meant};
use super::passwords::Passwords;
use super::places::{Place, Places};
use super::rates::{Asker, Rates};
use super::tickets::Tickets;
use super::tokens::Tokens;
use super::{Caller, Cap, Principal, Revoked, internal, keys, logins, quotas, rates};
use crate::clock::now_ms;
use crate::limits::{KEY_USED_EVERY, KNOWN_FOR, LOGIN_USED_EVERY, MAX_KNOWN};
use crate::store::{Bound, Change, KeyRow, LoginRow, SharedStore, UserRow};

/// Revocations that live connections may not have heard of yet; who lags is judged anew in any case.
const REVOCATIONS: usize = 256;

/// Authentication as a whole.
#[derive(Debug)]
pub(crate) struct Auth {
    store: SharedStore,
    pub(crate) passwords: Passwords,
    pub(crate) tickets: Tickets,
    pub(crate) tokens: Tokens,
    pub(crate) origins: super::origin::Origins,
    pub(crate) rates: Rates,
    pub(crate) places: Arc<Places>,
    /// What the broker allows each account.
    pub(crate) broker_limits: AccountLimits,
    /// A live connection may bring a newer token for this long after its own has expired.
    pub(crate) token_grace: Duration,
    issuers: Issuers,
    /// What was read of accounts' limits, and how often any were changed: what was read before a change is not kept.
    limits: Mutex<(u64, HashMap<AccountId, AccountLimits>)>,
    known: Mutex<HashMap<Sha256Digest, (Caller, Instant)>>,
    /// Keys and sign-ins whose use is being written down.
    noting: Mutex<HashSet<Uuid>>,
    revoked: broadcast::Sender<Revoked>,
}

/// What authentication is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: SharedStore,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Tokens,
    pub(crate) issuers: Issuers,
    pub(crate) origins: super::origin::Origins,
    pub(crate) broker_limits: AccountLimits,
    pub(crate) token_grace: Duration,
}

impl Auth {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            passwords: parts.passwords,
            tickets: Tickets::default(),
            tokens: parts.tokens,
            origins: parts.origins,
            rates: Rates::default(),
            places: Arc::default(),
            broker_limits: parts.broker_limits,
            token_grace: parts.token_grace,
            issuers: parts.issuers,
            limits: Mutex::default(),
            known: Mutex::default(),
            noting: Mutex::default(),
            revoked: broadcast::Sender::new(REVOCATIONS),
        }
    }

    /// The holder of an API key or an access token. Whatever is wrong with it, the answer is the same.
    pub(crate) async fn bearer(self: &Arc<Self>, token: &str) -> Result<Caller, Problem> {
        if let Some(hash) = keys::digest(keys::Kind::Key, token) {
            if let Some(caller) = self.remembered(&hash) {
                return Ok(caller);
            }
            let key = self.store.key_by_hash(hash).await.map_err(internal)?.ok_or_else(not_valid)?;
            if !keys::same(&key.hash, &hash) {
                return Err(not_valid());
            }
            let caller = self.key_holder(key).await?;
            self.remember(hash, &caller);
            return Ok(caller);
        }
        // A JWT; anything else has no dots.
        if !token.contains('.') {
            return Err(not_valid());
        }
        if let Some(claims) = self.tokens.verify(token, now_ms()) {
            let cap = Cap { scope: claims.scope, expires_ms: claims.exp.saturating_mul(1000) };
            let caller = match (claims.key, claims.sid) {
                (Some(key), None) => self.key(claims.account, key).await?,
                (None, Some(login)) => self.login(login).await?,
                (Some(_), Some(_)) | (None, None) => return Err(not_valid()),
            };
            return if caller.account == claims.account { Ok(caller.capped(cap)) } else { Err(not_valid()) };
        }
        match self.issuers.verify(token, now_ms()).await {
            Some(meant) => self.stranger(meant).await,
            None => Err(not_valid()),
        }
    }

    /// The same for the first message of a WebSocket, where a ticket will do, too.
    pub(crate) async fn first_message(self: &Arc<Self>, token: &str) -> Result<Caller, Problem> {
        if !token.starts_with(keys::Kind::Ticket.prefix()) {
            return self.bearer(token).await;
        }
        let caller = self.tickets.redeem(token, now_ms()).ok_or_else(not_valid)?;
        self.judge_anew(&caller).await
    }

    /// The person whose cookie this is.
    pub(crate) async fn cookie(self: &Arc<Self>, secret: &str) -> Result<(Caller, LoginRow), Problem> {
        let hash = keys::digest(keys::Kind::Login, secret).ok_or_else(signed_out)?;
        let row = self.store.login_by_hash(hash).await.map_err(internal)?.ok_or_else(signed_out)?;
        if !keys::same(&row.hash, &hash) {
            return Err(signed_out());
        }
        Ok((self.login_holder(&row).await?, row))
    }

    /// The same caller as it stands now; `unauthenticated` where it is none any more.
    pub(crate) async fn judge_anew(self: &Arc<Self>, caller: &Caller) -> Result<Caller, Problem> {
        let now = match &caller.principal {
            Principal::Key { id, .. } => self.key(caller.account, *id).await?,
            Principal::User { login, .. } => self.login(*login).await?,
            Principal::Token { .. } if caller.has_expired(now_ms()) => return Err(not_valid()),
            Principal::Token { .. } => return Ok(caller.clone()),
        };
        match caller.cap {
            Some(cap) if cap.expires_ms <= now_ms() => Err(not_valid()),
            Some(cap) => Ok(now.capped(cap)),
            None => Ok(now),
        }
    }

    async fn key(self: &Arc<Self>, account: AccountId, key: KeyId) -> Result<Caller, Problem> {
        let key = self.store.key(account, key).await.map_err(internal)?.ok_or_else(not_valid)?;
        self.key_holder(key).await
    }

    async fn login(self: &Arc<Self>, login: LoginId) -> Result<Caller, Problem> {
        let row = self.store.login(login).await.map_err(internal)?.ok_or_else(signed_out)?;
        self.login_holder(&row).await
    }

    async fn key_holder(self: &Arc<Self>, key: KeyRow) -> Result<Caller, Problem> {
        if key.revoked_ms.is_some() || key.expires_ms.is_some_and(|at| at <= now_ms()) {
            return Err(not_valid());
        }
        // A person's own key is worth nothing without the person, and no more than they may.
        let scope = match key.user {
            Some(user) => key.scope.min(self.active(key.account, user).await?.role.scope()),
            None => key.scope,
        };
        let account = self.store.account(key.account).await.map_err(internal)?.ok_or_else(not_valid)?;
        self.note_use(key.id.uuid(), key.last_used_ms, KEY_USED_EVERY, |at_ms| Change::UseKey {
            key: key.id,
            at_ms,
        });
        Ok(Caller {
            account: key.account,
            account_name: account.name,
            principal: Principal::Key { id: key.id, name: key.name, user: key.user },
            scope,
            expires_ms: key.expires_ms,
            cap: None,
        })
    }

    async fn login_holder(self: &Arc<Self>, row: &LoginRow) -> Result<Caller, Problem> {
        if logins::ends_ms(row) <= now_ms() {
            return Err(signed_out());
        }
        let user = self.active(row.account, row.user).await?;
        let account = self.store.account(row.account).await.map_err(internal)?.ok_or_else(signed_out)?;
        let login = row.id;
        self.note_use(login.uuid(), Some(row.last_used_ms), LOGIN_USED_EVERY, |at_ms| Change::UseLogin {
            login,
            at_ms,
        });
        Ok(Caller {
            account: row.account,
            account_name: account.name,
            scope: user.role.scope(),
            principal: Principal::User { id: user.id, name: user.name, role: user.role, login },
            expires_ms: Some(logins::ends_ms(row)),
            cap: None,
        })
    }

    async fn active(&self, account: AccountId, user: UserId) -> Result<UserRow, Problem> {
        let user = self.store.user(account, user).await.map_err(internal)?;
        user.filter(|user| !user.disabled).ok_or_else(signed_out)
    }

    async fn stranger(&self, meant: Meant) -> Result<Caller, Problem> {
        let account =
            self.store.account_named(&meant.account).await.map_err(internal)?.ok_or_else(not_valid)?;
        Ok(Caller {
            account: account.id,
            account_name: account.name,
            principal: Principal::Token { subject: meant.subject, issuer: meant.issuer },
            scope: meant.scope,
            expires_ms: Some(meant.expires_ms),
            cap: Some(Cap { scope: meant.scope, expires_ms: meant.expires_ms }),
        })
    }

    /// Writes down that something was used, now and then, and beside the request.
    fn note_use(
        self: &Arc<Self>,
        id: Uuid,
        last_ms: Option<u64>,
        every: Duration,
        change: impl FnOnce(u64) -> Change,
    ) {
        let now = now_ms();
        if last_ms.is_some_and(|last| now < last.saturating_add(every.as_millis() as u64)) {
            return;
        }
        if !self.noting.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let (auth, change) = (self.clone(), change(now));
        tokio::spawn(async move {
            if let Err(error) = auth.store.commit(vec![change]).await {
                tracing::warn!(%error, "the use of a key or sign-in was not written down");
            }
            auth.noting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }

    /// So that thousands of requests a second with one key do not each ask the store. Shorter than a revocation may take, and
    /// emptied by every one of this process.
    fn remembered(&self, hash: &Sha256Digest) -> Option<Caller> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, since) = known.get(hash)?;
        let good = since.elapsed() < KNOWN_FOR && !caller.has_expired(now_ms());
        if good { Some(caller.clone()) } else { None }
    }

    fn remember(&self, hash: Sha256Digest, caller: &Caller) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.retain(|_, (_, since)| since.elapsed() < KNOWN_FOR);
        }
        if known.len() < MAX_KNOWN {
            known.insert(hash, (caller.clone(), Instant::now()));
        }
    }

    /// What an account may use.
    pub(crate) async fn limits(&self, account: AccountId) -> Result<AccountLimits, Problem> {
        let changes = {
            let cached = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(limits) = cached.1.get(&account) {
                return Ok(*limits);
            }
            cached.0
        };
        let own = self.store.account_limits(account).await.map_err(internal)?;
        let limits = quotas::effective(&self.broker_limits, &own);
        let mut cached = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.0 == changes {
            cached.1.insert(account, limits);
        }
        Ok(limits)
    }

    /// One request of the caller's, or `busy`.
    pub(crate) async fn take(&self, caller: &Caller) -> Result<(), Problem> {
        let limits = self.limits(caller.account).await?;
        self.rates.take(Asker::of(&caller.principal), rates::quota(&limits))
    }

    /// A place for one more app connection of the caller's account.
    pub(crate) async fn enter(&self, caller: &Caller) -> Result<Place, Problem> {
        let limits = self.limits(caller.account).await?;
        self.places.enter(caller.account, limits.connections)
    }

    /// What makes a commit fail that gives the account more than it may have of what `bound` names; nothing where it may have any
    /// number.
    pub(crate) async fn at_most(
        &self,
        account: AccountId,
        bound: impl Fn(&AccountLimits) -> Option<Bound>,
    ) -> Result<Option<Change>, Problem> {
        let limits = self.limits(account).await?;
        Ok(bound(&limits).map(|bound| Change::AtMost { account, bound }))
    }

    /// For whom a caller submits, with the account's quotas.
    pub(crate) async fn quotas(&self, account: AccountId) -> Result<Vec<Bound>, Problem> {
        Ok(quotas::of_jobs(&self.limits(account).await?, now_ms()).collect())
    }

    /// Whether the account may submit one more job of `bytes`, as far as can be said before it has come; `quota-exceeded` where not.
    pub(crate) async fn admit_job(&self, account: AccountId, bytes: u64) -> Result<(), Problem> {
        let limits = self.limits(account).await?;
        if limits.jobs_per_day.is_none() && limits.stored_bytes.is_none() {
            return Ok(());
        }
        let usage = self.store.usage(account, now_ms()).await.map_err(internal)?;
        quotas::admit_job(&limits, &usage, bytes, now_ms())
    }

    /// Something was revoked or changed (committed): whoever stands on it is judged anew.
    pub(crate) fn revoke(&self, revoked: Revoked) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Revoked::Limits(account) = revoked {
            let mut cached = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            cached.0 += 1;
            cached.1.remove(&account);
        }
        if self.revoked.send(revoked).is_err() {
            tracing::debug!(?revoked, "no connection stands on what was revoked");
        }
    }

    /// Hears of revocations; see [`Caller::concerned_by`]. Who lags must judge anew, too.
    pub(crate) fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.revoked.subscribe()
    }
}

/// At most what the caller may.
pub(crate) fn lesser(caller: &Caller, wanted: Option<Scope>) -> Result<Scope, Problem> {
    match wanted {
        Some(wanted) if wanted > caller.scope => {
            let (has, wants) = (caller.scope.keyword(), wanted.keyword());
            let detail = format!("nobody gives more than they have: this is `{wants}`, yours is `{has}`");
            Err(ProblemKind::Forbidden.because(detail).at("/scope"))
        }
        wanted => Ok(wanted.unwrap_or(caller.scope)),
    }
}

fn not_valid() -> Problem {
    ProblemKind::Unauthenticated.because("the key or token is not valid (any more): have a new one made")
}

fn signed_out() -> Problem {
    ProblemKind::Unauthenticated.because("the sign-in is over: sign in again")
}
