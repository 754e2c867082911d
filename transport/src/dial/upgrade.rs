//! The HTTP request that turns a TLS connection into a WebSocket (RFC 6455 section 4.1).

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{
    CONNECTION, HOST, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::error::DialError;
use super::{Dial, DialIo};
use crate::limits::{MAX_ERROR_BODY_BYTES, MAX_RETRY_AFTER};

/// Sends the request; gives the stream and what was already read of the WebSocket.
pub(super) async fn upgrade(tls: DialIo, dial: &Dial<'_>) -> Result<(DialIo, Bytes), DialError> {
    let key = generate_key();
    let request = request(dial, &key)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(broken)?;
    let exchange = pin!(async {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(response).await);
        }
        check(response.headers(), &key, dial.subprotocol)?;
        let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
        let parts = upgraded.downcast::<TokioIo<DialIo>>();
        let parts =
            parts.map_err(|_| DialError::Lost(io::Error::other("the upgraded stream is another one")))?;
        Ok((parts.io.into_inner(), parts.read_buf))
    });
    // hyper's connection is what moves the bytes; once it has handed the stream over it is done.
    match select(exchange, pin!(connection.with_upgrades())).await {
        Either::Left((result, _)) => result,
        Either::Right((Ok(()), exchange)) => exchange.await,
        Either::Right((Err(error), _)) => Err(broken(error)),
    }
}

fn request(dial: &Dial<'_>, key: &str) -> Result<Request<Empty<Bytes>>, DialError> {
    let mut request = Request::new(Empty::new());
    let wrong = |what: &str| DialError::Lost(io::Error::new(io::ErrorKind::InvalidInput, what));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = dial.path.parse().map_err(|_| wrong("the request's path is not a path"))?;
    *request.headers_mut() = dial.headers.clone();
    let fixed = [
        (HOST, dial.url.authority()),
        (CONNECTION, "Upgrade".to_owned()),
        (UPGRADE, "websocket".to_owned()),
        (SEC_WEBSOCKET_VERSION, "13".to_owned()),
        (SEC_WEBSOCKET_KEY, key.to_owned()),
        (SEC_WEBSOCKET_PROTOCOL, dial.subprotocol.to_owned()),
    ];
    for (name, value) in fixed {
        let value = HeaderValue::from_str(&value).map_err(|_| wrong("a header's value is not printable"))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn check(headers: &HeaderMap, key: &str, subprotocol: &str) -> Result<(), DialError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text(UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err(DialError::NotABroker("its answer upgrades to something else than WebSocket".into()));
    }
    if text(SEC_WEBSOCKET_ACCEPT) != derive_accept_key(key.as_bytes()) {
        return Err(DialError::NotABroker("its answer belongs to another request".into()));
    }
    match text(SEC_WEBSOCKET_PROTOCOL) {
        agreed if agreed == subprotocol => Ok(()),
        "" => Err(DialError::NotABroker(format!("it does not speak `{subprotocol}`"))),
        other => Err(DialError::NotABroker(format!("it wants to speak `{other}`, not `{subprotocol}`"))),
    }
}

async fn refused(response: Response<Incoming>) -> DialError {
    let (head, mut incoming) = response.into_parts();
    let retry_after =
        head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    // A body that breaks off is no reason to lose the status.
    while let Some(Ok(frame)) = incoming.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let room = MAX_ERROR_BODY_BYTES - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if body.len() == MAX_ERROR_BODY_BYTES {
            break;
        }
    }
    let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    DialError::Http { status: head.status, body, retry_after }
}

fn broken(error: hyper::Error) -> DialError {
    DialError::Lost(io::Error::other(error))
}
