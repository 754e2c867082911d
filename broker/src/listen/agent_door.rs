//! A dial at `/v1/agent`: its token, or a refusal that says how to go on.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use inkwire_protocol::message::{DialError, DialRefused};

use super::Port;
use crate::auth::{dial, keys};
use crate::clock::now_ms;
use crate::sessions::Dialled;

/// Seconds until a dial that came too early may come again.
const BUSY_RETRY_S: u16 = 5;

/// Checks the dial token; the answer to a bad one is ready to be sent.
pub(super) async fn check(
    port: &Port,
    headers: &HeaderMap,
    observed: SocketAddr,
) -> Result<Dialled, Response<Body>> {
    match admit(port, headers, observed).await {
        Ok(dialled) => Ok(dialled),
        Err(error) => {
            port.sessions.counters.dials_refused.fetch_add(1, Ordering::Relaxed);
            tracing::info!(endpoint = %observed, ?error, "dial refused");
            Err(refusal(error))
        }
    }
}

async fn admit(port: &Port, headers: &HeaderMap, observed: SocketAddr) -> Result<Dialled, DialError> {
    if port.closing.is_cancelled() {
        return Err(DialError::Busy);
    }
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(keys::bearer).ok_or(DialError::Unauthenticated)?;
    let agent = dial::claimed_agent(token).ok_or(DialError::Unauthenticated)?;
    let row = port.sessions.store.dialling_agent(agent).await.map_err(|error| {
        tracing::error!(%error, "an agent could not be looked up");
        DialError::Busy
    })?;
    let row = row.ok_or(DialError::Unauthenticated)?;
    let known = dial::Known {
        agent,
        public_key: &row.public_key,
        last_n: row.dial_n,
        revoked: row.revoked_ms.is_some(),
        quarantined: row.clone,
    };
    let admitted = dial::admit(token, known, now_ms())?;
    Ok(Dialled { admitted, last_token: row.token, observed })
}

fn refusal(error: DialError) -> Response<Body> {
    let (status, detail) = match error {
        DialError::Clock => (
            StatusCode::UNAUTHORIZED,
            "the token's times do not fit this broker's clock: correct them by broker_time_ms",
        ),
        DialError::Replayed => {
            (StatusCode::UNAUTHORIZED, "the token's number was used before: dial again with a larger one")
        }
        DialError::Unauthenticated => {
            (StatusCode::UNAUTHORIZED, "not a token of an agent of this broker: pair the agent (again)")
        }
        DialError::Revoked => (StatusCode::UNAUTHORIZED, "the agent was revoked: pair it again"),
        DialError::Clone => (
            StatusCode::UNAUTHORIZED,
            "two PCs use this agent's identity: pair one of them anew and release the other",
        ),
        DialError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "the broker is busy: come back later"),
    };
    let body = DialRefused { error, detail: detail.to_owned(), broker_time_ms: now_ms() };
    let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if error == DialError::Busy {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(BUSY_RETRY_S));
    }
    response
}
