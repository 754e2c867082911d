//! Where a request belongs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::message::{
    AGENT_PATH, AGENT_SUBPROTOCOL, APP_PATH, APP_SUBPROTOCOL, PAIR_PATH, PAIR_SUBPROTOCOL,
};
use inkwire_transport::{Meter, SocketConfig};
use tower::ServiceExt as _;

use super::{From, Kind, Port, agent_door, forwarded, upgrade};
use crate::api::{Asks, Door, problem_response, rest, rpc};
use crate::auth::origin;
use crate::config::ProxyHeader;
use crate::limits::REQUEST_WITHIN;
use crate::sessions::Guard;

/// Where documents are submitted by HTTP.
const SUBMIT_PATH: &str = "/v1/jobs";

/// Answers a request; never fails, for every error is an answer.
pub(super) async fn route(
    port: Arc<Port>,
    request: Request<Incoming>,
    from: From,
    meter: Meter,
    guard: Guard,
) -> Result<Response<Body>, Infallible> {
    let routed = match observe(&port, &request, from) {
        Ok(observed) => match request.uri().path() {
            AGENT_PATH | PAIR_PATH if from.kind != Kind::Tls => {
                Err(ProblemKind::UnknownMethod.because("agents dial the broker's TLS port"))
            }
            AGENT_PATH => agent(port, request, observed, meter, guard).await,
            PAIR_PATH => pair(&port, request, observed, meter, guard),
            APP_PATH => app(port, request, Door { peer: observed, kind: from.kind }, meter, guard).await,
            _ => rest(&port, request, Door { peer: observed, kind: from.kind }).await,
        },
        Err(problem) => Err(problem),
    };
    Ok(routed.unwrap_or_else(|problem| problem_response(&problem)))
}

/// Where the peer is: from the connection, or from the headers of a proxy that we trust.
fn observe(port: &Port, request: &Request<Incoming>, from: From) -> Result<SocketAddr, Problem> {
    if let Kind::Console(listening) = from.kind {
        // A page of the internet whose name was made to point to this machine is none of ours.
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !origin::is_loopback_authority(host, listening.port()) {
            let detail = format!("this port serves this machine only: open http://{listening}/");
            return Err(ProblemKind::InvalidRequest.because(detail));
        }
        return Ok(from.peer);
    }
    let header = match port.proxies.header_from(from.tcp.ip()) {
        Some(header @ (ProxyHeader::Forwarded | ProxyHeader::XForwardedFor)) => header,
        Some(ProxyHeader::ProxyV2) | None => return Ok(from.peer),
    };
    let values = request.headers().get_all(forwarded::header_name(header)).iter();
    let lines = values.filter_map(|value| value.to_str().ok());
    match forwarded::peer(header, lines, |ip| port.proxies.trusts(ip)) {
        Ok(peer) => Ok(peer),
        // The proxy's own requests, such as its health checks.
        Err(forwarded::ForwardedError::Missing(_)) => Ok(from.peer),
        Err(error @ forwarded::ForwardedError::NotAnAddress(_)) => {
            tracing::warn!(proxy = %from.tcp, %error, "request refused");
            Err(ProblemKind::InvalidRequest.because(error.to_string()))
        }
    }
}

async fn agent(
    port: Arc<Port>,
    mut request: Request<Incoming>,
    observed: SocketAddr,
    meter: Meter,
    guard: Guard,
) -> Result<Response<Body>, Problem> {
    let (response, pending) = upgrade::agree(&mut request, AGENT_SUBPROTOCOL, meter)?;
    let dialled = match agent_door::check(&port, request.headers(), observed).await {
        Ok(dialled) => dialled,
        Err(refused) => return Ok(refused),
    };
    let sessions = port.sessions.clone();
    port.tracker.spawn(async move {
        if let Some(socket) = pending.socket(SocketConfig::AGENT).await {
            Box::pin(crate::sessions::begin(sessions, socket, dialled, guard)).await;
        }
    });
    Ok(response)
}

fn pair(
    port: &Port,
    mut request: Request<Incoming>,
    observed: SocketAddr,
    meter: Meter,
    guard: Guard,
) -> Result<Response<Body>, Problem> {
    let (response, pending) = upgrade::agree(&mut request, PAIR_SUBPROTOCOL, meter)?;
    let (pairings, closing) = (port.pairings.clone(), port.closing.clone());
    port.tracker.spawn(async move {
        if let Some(socket) = pending.socket(crate::pairing::SOCKET).await {
            pairings.serve(socket, observed, closing).await;
        }
        drop(guard);
    });
    Ok(response)
}

async fn app(
    port: Arc<Port>,
    mut request: Request<Incoming>,
    door: Door,
    meter: Meter,
    guard: Guard,
) -> Result<Response<Body>, Problem> {
    let (response, pending) = upgrade::agree(&mut request, APP_SUBPROTOCOL, meter)?;
    // A page may open a WebSocket anywhere, and its browser sends the cookie along: so an origin is always looked at. A key that
    // is not valid is refused before the upgrade; none at all may still come as the first message.
    let asks = Asks { headers: request.headers(), kind: door.kind, changes: true };
    let caller = async {
        port.api.must_be_our_page(&asks, false)?;
        let Some(caller) = port.api.caller_of(&asks).await? else { return Ok(None) };
        let place = port.api.auth.enter(&caller).await?;
        Ok(Some((caller, place)))
    };
    let caller = caller.await.map_err(|problem| port.api.turned_away("upgrade", problem))?;
    let (api, closing) = (port.api.clone(), port.closing.clone());
    port.tracker.spawn(async move {
        if let Some(socket) = pending.any_socket(SocketConfig::APP).await {
            rpc::serve(api, socket, caller, door.peer, closing).await;
        }
        drop(guard);
    });
    Ok(response)
}

async fn rest(port: &Port, mut request: Request<Incoming>, door: Door) -> Result<Response<Body>, Problem> {
    request.extensions_mut().insert(door);
    // A document may take its time; its handler sees to it that it keeps coming.
    let submits = request.method() == Method::POST && request.uri().path() == SUBMIT_PATH;
    let answering = port.router.clone().oneshot(request.map(Body::new));
    if submits {
        return answering.await.map(rest::dressed).map_err(|never| match never {});
    }
    match tokio::time::timeout(REQUEST_WITHIN, answering).await {
        Ok(Ok(response)) => Ok(rest::dressed(response)),
        Ok(Err(never)) => match never {},
        Err(_) => Err(ProblemKind::Busy.because("the request took too long: try again")),
    }
}
