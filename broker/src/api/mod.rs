//! The app API: one set of methods, two doors.
//!
//! ```text
//!   WebSocket /v1/app ─ rpc ──┐                       ┌─▶ store (queries)
//!                             ├─▶ table ─▶ methods ───┼─▶ jobs
//!   REST /v1/...  ──── rest ──┘  (scope,              └─▶ sessions, pairing
//!                                 parameters)
//! ```
//!
//! A new method is one function in `methods/` and one entry in `table`, which also gives it its REST path and its place in the
//! OpenAPI document.

mod asked;
mod calls;
mod console;
mod methods;
mod openapi;
pub(crate) mod present;
mod query;
pub(crate) mod rest;
pub(crate) mod rpc;
mod shapes;
mod sign_in;
mod stream;
pub(crate) mod table;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use inkwire_protocol::app::{Problem, ProblemKind, Scope};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Caller, Revoked, keys};
use crate::clock::now_ms;
use crate::feed::Feeds;
use crate::jobs::Jobs;
use crate::pairing::Pairings;
use crate::sessions::SharedSessions;
use crate::store::SharedStore;
use crate::webhooks::Webhooks;

pub(crate) use asked::{Asked, Door};
pub(crate) use sign_in::new_key;

/// Revocations that live connections may not have heard of yet; who lags is judged anew in any case.
const REVOCATIONS: usize = 64;

/// A stream's caller is judged anew at least this often ...
const JUDGED_ANEW_AFTER: Duration = Duration::from_secs(3600);
/// ... and not more often than this by its own date, which a sign-in moves.
const JUDGED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What methods stand on.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: SharedStore,
    pub(crate) jobs: Jobs,
    pub(crate) sessions: SharedSessions,
    pub(crate) pairings: Arc<Pairings>,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) webhooks: Arc<Webhooks>,
    /// Documents on their way in, on whatever connection.
    pub(crate) underway: rpc::Underway,
    pub(crate) calls: calls::Calls,
    /// Cancelled when nothing new is to be begun.
    pub(crate) closing: CancellationToken,
    revoked: broadcast::Sender<Revoked>,
}

impl Api {
    pub(crate) fn new(
        store: SharedStore,
        jobs: Jobs,
        sessions: SharedSessions,
        pairings: Arc<Pairings>,
        (feeds, webhooks): (Arc<Feeds>, Arc<Webhooks>),
        closing: CancellationToken,
    ) -> Self {
        Self {
            store,
            jobs,
            sessions,
            pairings,
            feeds,
            webhooks,
            underway: rpc::Underway::default(),
            calls: calls::Calls::default(),
            closing,
            revoked: broadcast::Sender::new(REVOCATIONS),
        }
    }

    /// Who a request speaks for, by its `Authorization: Bearer`; none where there is no such header.
    pub(crate) async fn caller_of(&self, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
        let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
        let token = header.to_str().ok().and_then(keys::bearer);
        let token = token.ok_or_else(|| {
            ProblemKind::Unauthenticated.because("send `Authorization: Bearer` and an API key")
        })?;
        auth::authenticate(&self.store, token).await.map(Some)
    }

    /// A caller was turned away at a door, before any method was called: counted and logged like a refused request.
    pub(crate) fn turned_away(&self, door: &'static str, problem: Problem) -> Problem {
        let kind = problem.kind().unwrap_or(ProblemKind::Internal);
        self.sessions.counters.refused(kind);
        tracing::info!(door, problem = kind.keyword(), detail = problem.detail, "request refused");
        problem
    }

    /// Something was revoked or changed (committed): whoever stands on it is judged anew.
    pub(crate) fn revoke(&self, revoked: Revoked) {
        if self.revoked.send(revoked).is_err() {
            tracing::debug!(?revoked, "no connection stands on what was revoked");
        }
    }

    /// Waits until the caller may go on no more, and says why: what it came with was revoked, or has expired, or allows less.
    pub(crate) async fn until_invalid(&self, mut caller: Caller, scope: Scope) -> String {
        let mut revocations = self.revocations();
        loop {
            // The first time, too: what was revoked before the news was listened to.
            match auth::judge_anew(&self.store, &caller).await {
                Ok(same) => caller = same,
                Err(problem) => return problem.detail,
            }
            if let Err(problem) = caller.must(scope) {
                return problem.detail;
            }
            let over = caller.expires_ms.map(|at| Duration::from_millis(at.saturating_sub(now_ms())));
            let over = over.unwrap_or(JUDGED_ANEW_AFTER).clamp(JUDGED_AGAIN_AFTER, JUDGED_ANEW_AFTER);
            tokio::select! {
                () = tokio::time::sleep(over) => {}
                () = concerned(&mut revocations, &caller) => {}
            }
        }
    }

    /// Hears of revocations; see [`Caller::concerned_by`] and [`auth::judge_anew`]. Who lags must judge anew, too.
    pub(crate) fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.revoked.subscribe()
    }
}

/// Waits for a revocation that may concern the caller, or for one that was missed.
async fn concerned(revocations: &mut broadcast::Receiver<Revoked>, caller: &Caller) {
    while revocations.recv().await.is_ok_and(|revoked| !caller.concerned_by(&revoked)) {}
}

/// A problem as an HTTP answer (RFC 9457).
pub(crate) fn problem_response(problem: &Problem) -> Response<Body> {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == ProblemKind::Unauthenticated.status() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"inkwire\""));
    }
    response
}
