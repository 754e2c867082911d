//! One connection: from the first byte to the last HTTP request on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper_util::rt::{TokioIo, TokioTimer};
use inkwire_protocol::limits::HANDSHAKE_WITHIN;
use inkwire_transport::{Meter, Metered, accept_tls, set_socket_options};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::{From, Io, Kind, PlainIo, Port, proxy_v2, route, turns};
use crate::addresses::Place;
use crate::config::ProxyHeader;
use crate::limits::MAX_HTTP_HEADER_BYTES;
use crate::sessions::Guard;

/// Why a connection ended before HTTP.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0} has too many connections")]
    AddressFull(IpAddr),
    #[error(transparent)]
    Proxy(#[from] proxy_v2::ProxyError),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("TLS: no handshake within {} s", HANDSHAKE_WITHIN.as_secs())]
    TimedOut,
}

/// Serves one connection until it ends or becomes a WebSocket.
pub(super) async fn serve(
    port: Arc<Port>,
    stream: TcpStream,
    (tcp, kind): (SocketAddr, Kind),
    place: OwnedSemaphorePermit,
) {
    let tcp = SocketAddr::new(tcp.ip().to_canonical(), tcp.port());
    if let Kind::Console(_) = kind {
        return serve_plain(port, stream, From { tcp, peer: tcp, kind }, place).await;
    }
    let shaking = Box::pin(shake_hands(&port, stream, tcp));
    let shaken = port.closing.run_until_cancelled(shaking).await;
    let Some(shaken) = shaken else { return };
    match shaken {
        Ok((io, meter, from, address_place)) => {
            let guard: Guard = Arc::new((place, address_place));
            serve_http::<Io>(port, io, meter, from, guard).await;
        }
        Err(error) => {
            let counters = &port.sessions.counters;
            match error {
                Failed::AddressFull(_) => counters.addresses_full.fetch_add(1, Ordering::Relaxed),
                Failed::Proxy(_) | Failed::Tls(_) | Failed::TimedOut => {
                    counters.handshakes_failed.fetch_add(1, Ordering::Relaxed)
                }
            };
            tracing::debug!(peer = %tcp, %error, "connection refused");
        }
    }
}

/// The console's port: nothing to be agreed on before HTTP.
async fn serve_plain(port: Arc<Port>, stream: TcpStream, from: From, place: OwnedSemaphorePermit) {
    let Some(address_place) = port.by_address.enter(from.peer.ip()) else {
        port.sessions.counters.addresses_full.fetch_add(1, Ordering::Relaxed);
        return;
    };
    if let Err(error) = set_socket_options(&stream) {
        tracing::debug!(peer = %from.peer, %error, "socket options were not set");
    }
    let stream = Metered::new(stream);
    let meter = stream.meter();
    serve_http::<PlainIo>(port, stream, meter, from, Arc::new((place, Some(address_place)))).await;
}

async fn shake_hands(
    port: &Port,
    stream: TcpStream,
    tcp: SocketAddr,
) -> Result<(Io, Meter, From, Option<Place>), Failed> {
    if let Err(error) = set_socket_options(&stream) {
        tracing::debug!(peer = %tcp, %error, "socket options were not set");
    }
    let mut stream = Metered::new(stream);
    let peer = match port.proxies.header_from(tcp.ip()) {
        Some(ProxyHeader::ProxyV2) => proxy_v2::read_header(&mut stream, tcp, HANDSHAKE_WITHIN).await?,
        Some(ProxyHeader::Forwarded | ProxyHeader::XForwardedFor) | None => tcp,
    };
    // A proxy's own connections are many, and are counted all together only.
    let counted = !port.proxies.trusts(peer.ip());
    let enter = |addresses: &Arc<super::Addresses>| match counted {
        true => addresses.enter(peer.ip()).map(Some).ok_or(Failed::AddressFull(peer.ip())),
        false => Ok(None),
    };
    let place = enter(&port.by_address)?;
    let silent = enter(&port.handshakes_by_address)?;
    let spoke = tokio::time::timeout(HANDSHAKE_WITHIN, stream.get_ref().readable()).await;
    spoke.map_err(|_| Failed::TimedOut)?.map_err(Failed::Tls)?;
    // While it waits for us, it is not the one that keeps us waiting.
    drop(silent);
    let turn = port.turns.take(counted.then(|| peer.ip())).await.ok_or(Failed::TimedOut)?;
    let _handshaking = enter(&port.handshakes_by_address)?;
    let meter = stream.meter();
    let shaking = tokio::time::timeout(HANDSHAKE_WITHIN, accept_tls(stream, port.tls.config()));
    let tls = turns::within(turn, shaking).await.map_err(|_| Failed::TimedOut)?.map_err(Failed::Tls)?;
    Ok((tls, meter, From { tcp, peer, kind: Kind::Tls }, place))
}

async fn serve_http<S>(port: Arc<Port>, io: S, meter: Meter, from: From, guard: Guard)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closing = port.closing.clone();
    let service = hyper::service::service_fn(move |request| {
        route::route(port.clone(), request, from, meter.clone(), guard.clone())
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_WITHIN)
        .max_buf_size(MAX_HTTP_HEADER_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %from.peer, %error, "HTTP connection ended");
    }
}
