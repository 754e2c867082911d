//! Who a connection speaks for, and for how long: signed in at the upgrade or by its first message, renewed by a newer
//! token, judged anew when something it stands on is revoked, and over when it has expired.

use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::app::{Authenticate, Problem, ProblemKind};
use inkwire_protocol::close::CloseCode;
use serde_json::Value;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use super::serve::End;
use crate::api::table;
use crate::auth::{Auth, Caller, Place, Principal, Revoked};
use crate::clock::now_ms;
use crate::limits::LOGIN_USED_EVERY;

/// One connection's.
#[derive(Debug)]
pub(super) struct Standing {
    auth: Arc<Auth>,
    caller: Option<Caller>,
    /// The account's place that it takes, once it is signed in.
    place: Option<Place>,
    revocations: broadcast::Receiver<Revoked>,
    judged: Instant,
}

impl Standing {
    /// `caller` is known where the upgrade carried a key or a cookie.
    pub(super) fn new(auth: Arc<Auth>, caller: Option<(Caller, Place)>) -> Self {
        let (caller, place) = caller.unzip();
        let revocations = auth.revocations();
        Self { auth, caller, place, revocations, judged: Instant::now() }
    }

    pub(super) const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// `authenticate`: the first message of who came without a key; later a newer token of the same account.
    pub(super) async fn authenticate(&mut self, params: Value) -> Result<Value, Problem> {
        let Authenticate { token } = table::read(params)?;
        let caller = self.auth.first_message(&token).await?;
        if self.caller.as_ref().is_some_and(|before| before.account != caller.account) {
            let detail = "this connection speaks for another account: open another one";
            return Err(ProblemKind::Forbidden.because(detail));
        }
        if self.place.is_none() {
            self.place = Some(self.auth.enter(&caller).await?);
        }
        let me = serde_json::to_value(caller.me());
        (self.caller, self.judged) = (Some(caller), Instant::now());
        me.map_err(|error| ProblemKind::Internal.because(error.to_string()))
    }

    /// One request of what the caller may ask. `by_hand`: somebody did something, so that their sign-in does not idle.
    pub(super) async fn take(&mut self, by_hand: bool) -> Result<(), Problem> {
        let Some(caller) = &self.caller else { return Ok(()) };
        self.auth.take(caller).await?;
        let person = matches!(caller.principal, Principal::User { .. });
        if person && by_hand && self.judged.elapsed() >= LOGIN_USED_EVERY {
            let caller = self.auth.judge_anew(caller).await?;
            (self.caller, self.judged) = (Some(caller), Instant::now());
        }
        Ok(())
    }

    /// The next revocation of anything.
    pub(super) async fn news(&mut self) -> Result<Revoked, RecvError> {
        self.revocations.recv().await
    }

    /// Something was revoked, or some of the news was missed: who may be concerned is judged anew.
    pub(super) async fn hear(&mut self, news: Result<Revoked, RecvError>) -> Result<(), End> {
        let Some(caller) = &self.caller else { return Ok(()) };
        if news.is_ok_and(|revoked| !caller.concerned_by(&revoked)) {
            return Ok(());
        }
        let over = format!("{} was revoked", caller.principal.name());
        self.judge((CloseCode::Revoked, over)).await
    }

    /// When the caller is over, if ever.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let caller = self.caller.as_ref()?;
        let left = Duration::from_millis(self.over_ms(caller)?.saturating_sub(now_ms()));
        // An end that is far away is looked at again every day.
        Some(Instant::now() + left.min(Duration::from_secs(24 * 3600)))
    }

    /// A token may be replaced for some time after its end; what it stands on has none.
    fn over_ms(&self, caller: &Caller) -> Option<u64> {
        let at = caller.expires_ms?;
        let by_token = caller.cap.is_some_and(|cap| cap.expires_ms == at);
        let grace = if by_token { self.auth.token_grace } else { Duration::ZERO };
        Some(at.saturating_add(grace.as_millis() as u64))
    }

    /// The clock: is the caller over?
    pub(super) async fn on_clock(&mut self) -> Result<(), End> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let now = now_ms();
        if self.over_ms(caller).is_none_or(|at| now < at) {
            return Ok(());
        }
        if caller.cap.is_some_and(|cap| cap.expires_ms <= now) {
            let detail = "the access token has expired, and no newer one came by `authenticate`";
            return Err((CloseCode::Expired, detail.to_owned()));
        }
        let over = match &caller.principal {
            // Somebody may have used the sign-in elsewhere.
            Principal::User { .. } => (CloseCode::Expired, "the sign-in is over: sign in again".to_owned()),
            Principal::Key { .. } | Principal::Token { .. } => {
                (CloseCode::Revoked, "the API key has expired".to_owned())
            }
        };
        self.judge(over).await
    }

    /// Judges the caller anew; `over` is the end where it is none any more.
    async fn judge(&mut self, over: End) -> Result<(), End> {
        let Some(caller) = &self.caller else { return Ok(()) };
        match self.auth.judge_anew(caller).await {
            Ok(caller) => {
                (self.caller, self.judged) = (Some(caller), Instant::now());
                Ok(())
            }
            Err(problem) if problem.kind() == Some(ProblemKind::Unauthenticated) => Err(over),
            Err(problem) => Err((CloseCode::Busy, problem.detail)),
        }
    }
}
