//! The listener of the metrics: plain HTTP/1.1, `GET /metrics` and nothing else.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use inkwire_protocol::limits::HANDSHAKE_WITHIN;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Watched;
use crate::limits::{MAX_HTTP_HEADER_BYTES, MAX_METRICS_CONNECTIONS, METRICS_WITHIN};

/// As the format's specification names it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until `stop`. Whoever is neither on this machine nor in an allowed network is not answered.
pub(crate) async fn serve(
    watched: Arc<Watched>,
    listener: TcpListener,
    allow: Vec<IpNet>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_METRICS_CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) if may_ask(peer.ip(), &allow) => {
                    let (watched, stop) = (watched.clone(), stop.clone());
                    tokio::spawn(async move {
                        stop.run_until_cancelled(tokio::time::timeout(METRICS_WITHIN, talk(watched, stream)))
                            .await;
                        drop(place);
                    });
                }
                Ok((_, peer)) => {
                    tracing::warn!(%peer, "metrics refused: add its network to `metrics.allow` if it may ask");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
}

fn may_ask(peer: IpAddr, allow: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() || allow.iter().any(|net| net.contains(&peer))
}

async fn talk(watched: Arc<Watched>, stream: TcpStream) {
    let service = hyper::service::service_fn(move |request| answer(watched.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_WITHIN)
        .max_buf_size(MAX_HTTP_HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

async fn answer(watched: Arc<Watched>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let plain = |status: StatusCode, text: &'static str| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "only /metrics is here\n"));
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return Ok(response);
    }
    match watched.text().await {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            Ok(response)
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be gathered");
            Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "the broker's log says why\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_allowed_networks_may_ask() {
        let allow = ["10.0.0.0/8".parse().unwrap()];
        let may = |ip: &str| may_ask(ip.parse().unwrap(), &allow);
        assert!(may("127.0.0.1") && may("::1") && may("10.1.2.3") && may("::ffff:10.1.2.3"));
        assert!(!may("192.0.2.1") && !may("2001:db8::1"));
    }
}
