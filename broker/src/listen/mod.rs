//! The one TLS port: accepts, shakes hands, and gives each request to where it belongs.
//!
//! ```text
//!  TcpListener ─ place first ─▶ PROXY v2? ─ first byte, turn ─▶ TLS ─▶ HTTP/1.1 ─┬─ /v1/agent ─ dial token ─▶ sessions
//!                                                                                ├─ /v1/pair ──────────────▶ pairing
//!                                                                                ├─ /v1/app ───────────────▶ api (JSON-RPC)
//!                                                                                └─ everything else ───────▶ api (REST)
//! ```
//!
//! The console may have a second port, plain HTTP on a loopback address: the same router and app WebSocket without TLS.
//!
//! Each connection holds a place, all together and by address, until its last byte: a stranger can fill neither.

mod accept;
mod agent_door;
mod connection;
mod forwarded;
mod proxy_v2;
mod route;
mod turns;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;

use inkwire_transport::{Metered, ServerStream, ServerTls};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addresses::Addresses;
use crate::api::Api;
use crate::config::{Limits, Proxies};
use crate::limits::MAX_HANDSHAKES_PER_ADDRESS;
use crate::pairing::Pairings;
use crate::sessions::SharedSessions;

pub(crate) use crate::auth::origin::Kind;
pub(crate) use accept::accept_loop;

/// What a connection of the TLS port is made of.
pub(crate) type Io = ServerStream<Metered<TcpStream>>;
/// What a connection of the console's port is made of.
pub(crate) type PlainIo = Metered<TcpStream>;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) tls: Arc<ServerTls>,
    pub(crate) proxies: Proxies,
    pub(crate) api: Arc<Api>,
    pub(crate) pairings: Arc<Pairings>,
    pub(crate) sessions: SharedSessions,
    pub(crate) router: axum::Router,
    pub(crate) tracker: TaskTracker,
    /// Cancelled when nothing new is to be begun.
    pub(crate) closing: CancellationToken,
    connections: Arc<Semaphore>,
    turns: Arc<turns::Turns>,
    by_address: Arc<Addresses>,
    handshakes_by_address: Arc<Addresses>,
}

/// The rooms behind the port.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) api: Arc<Api>,
    pub(crate) pairings: Arc<Pairings>,
    pub(crate) sessions: SharedSessions,
}

impl Port {
    /// A port with its bounds.
    pub(crate) fn new(
        tls: Arc<ServerTls>,
        proxies: Proxies,
        limits: &Limits,
        rooms: Rooms,
        tracker: TaskTracker,
        closing: CancellationToken,
    ) -> Self {
        Self {
            tls,
            proxies,
            router: crate::api::rest::router(rooms.api.clone()),
            api: rooms.api,
            pairings: rooms.pairings,
            sessions: rooms.sessions,
            tracker,
            closing,
            connections: Arc::new(Semaphore::new(limits.max_connections)),
            turns: turns::Turns::new(),
            by_address: Addresses::new(limits.max_connections_per_address),
            handshakes_by_address: Addresses::new(MAX_HANDSHAKES_PER_ADDRESS),
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From {
    /// The other end of the TCP connection: the peer, or a proxy.
    pub(crate) tcp: SocketAddr,
    /// The peer, as far as the connection itself tells; a request's headers may tell more.
    pub(crate) peer: SocketAddr,
    /// The port that it came by.
    pub(crate) kind: Kind,
}
