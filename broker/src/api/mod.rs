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
mod download;
pub(crate) mod methods;
mod openapi;
mod permissions;
pub(crate) mod present;
mod query;
pub(crate) mod rest;
pub(crate) mod rpc;
mod sign_in;
mod stream;
pub(crate) mod table;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use inkwire_protocol::app::{Problem, ProblemKind, Scope};
use inkwire_protocol::message::clip;
use inkwire_transport::BrokerUrl;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::auth::origin::Kind;
use crate::auth::{Auth, Caller, Revoked, keys, logins};
use crate::clock::now_ms;
use crate::feed::Feeds;
use crate::jobs::Jobs;
use crate::pairing::Pairings;
use crate::sessions::SharedSessions;
use crate::store::SharedStore;
use crate::webhooks::Webhooks;

pub(crate) use asked::{Asked, Door};
pub use permissions::{ApiMethod, api_methods};
pub(crate) use sign_in::new_key;

/// A stream's caller is judged anew at least this often ...
const JUDGED_ANEW_AFTER: Duration = Duration::from_secs(3600);
/// ... and not more often than this by its own date, which a sign-in moves.
const JUDGED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What methods stand on.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: SharedStore,
    pub(crate) auth: Arc<Auth>,
    /// How the broker is called, with its pin.
    pub(crate) url: BrokerUrl,
    /// Where the console is on plain HTTP, if it is.
    pub(crate) console: Option<SocketAddr>,
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
    /// Documents that may come in by HTTP at once.
    pub(crate) uploads: Semaphore,
    /// When this process began.
    pub(crate) started_ms: u64,
}

impl Api {
    /// Who a request speaks for: by its `Authorization: Bearer`, else by its cookie; none where there is neither. A cookie counts for
    /// what changes something only on a page whose origin may.
    pub(crate) async fn caller_of(&self, asks: &Asks<'_>) -> Result<Option<Caller>, Problem> {
        if let Some(header) = asks.headers.get(AUTHORIZATION) {
            let token = header.to_str().ok().and_then(keys::bearer);
            let token = token.ok_or_else(|| {
                ProblemKind::Unauthenticated
                    .because("send `Authorization: Bearer` and an API key or access token")
            })?;
            return self.auth.bearer(token).await.map(Some);
        }
        let Some(secret) = logins::of_headers(asks.headers, asks.kind) else { return Ok(None) };
        if asks.changes {
            self.must_be_our_page(asks, true)?;
        }
        let (caller, _) = self.auth.cookie(secret).await?;
        Ok(Some(caller))
    }

    /// Refuses pages whose origin is neither the broker's nor in the configuration; without an origin only where one must be.
    pub(crate) fn must_be_our_page(&self, asks: &Asks<'_>, must_be: bool) -> Result<(), Problem> {
        let origin = asks.headers.get(ORIGIN);
        if origin.is_none() && !must_be {
            return Ok(());
        }
        let scheme = if asks.kind == Kind::Tls { "https" } else { "http" };
        let host = asks.headers.get(HOST).and_then(|host| host.to_str().ok());
        match origin.map(|origin| origin.to_str().unwrap_or_default()) {
            Some(origin) if self.auth.origins.allows(origin, scheme, host) => Ok(()),
            Some(origin) => Err(ProblemKind::Forbidden.because(format!(
                "pages of {} may not ask here: name the origin in `api.allowed_origins`",
                clip(origin)
            ))),
            None => Err(ProblemKind::Forbidden.because(
                "a cookie counts only with an `Origin`, as browsers send it: use an API key instead",
            )),
        }
    }

    /// A caller was turned away at a door, before any method was called: counted and logged like a refused request.
    pub(crate) fn turned_away(&self, door: &'static str, problem: Problem) -> Problem {
        let kind = problem.kind().unwrap_or(ProblemKind::Internal);
        self.sessions.counters.refused(kind);
        // Who asks too often would fill the log, too.
        if kind == ProblemKind::Busy {
            tracing::debug!(door, problem = kind.keyword(), detail = problem.detail, "request refused");
        } else {
            tracing::info!(door, problem = kind.keyword(), detail = problem.detail, "request refused");
        }
        problem
    }

    /// Waits until the caller may go on no more, and says why: what it came with was revoked, or has expired, or allows less.
    pub(crate) async fn until_invalid(&self, mut caller: Caller, scope: Scope) -> String {
        let mut revocations = self.auth.revocations();
        loop {
            // The first time, too: what was revoked before the news was listened to.
            match self.auth.judge_anew(&caller).await {
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
}

/// What decides about who asks: headers and the port that they came by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) kind: Kind,
    /// Whether the request may change something: everything but GET and HEAD, and a WebSocket.
    pub(crate) changes: bool,
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
