//! From an HTTP request to a WebSocket (RFC 6455 section 4.2), with every buffer size ours.

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::limits::HANDSHAKE_WITHIN;
use inkwire_transport::{Meter, Socket, SocketConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::either::Either;

use super::{Io, PlainIo};

/// What upgrades a connection after the answer has gone.
pub(super) struct Pending {
    on: hyper::upgrade::OnUpgrade,
    meter: Meter,
}

/// Checks the request and makes the answer that agrees; or says what is missing.
pub(super) fn agree(
    request: &mut Request<Incoming>,
    subprotocol: &'static str,
    meter: Meter,
) -> Result<(Response<Body>, Pending), Problem> {
    let missing = |what: &str| {
        ProblemKind::InvalidRequest
            .because(format!("{} is a WebSocket ({subprotocol}): {what}", request.uri().path()))
    };
    let headers = request.headers();
    if request.method() != Method::GET
        || !has_token(headers, CONNECTION, "upgrade")
        || !has_token(headers, UPGRADE, "websocket")
    {
        return Err(missing("send GET with `Connection: Upgrade` and `Upgrade: websocket`"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(missing("send `Sec-WebSocket-Version: 13`"));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(missing("send `Sec-WebSocket-Key`"));
    };
    if !has_token(headers, SEC_WEBSOCKET_PROTOCOL, subprotocol) {
        return Err(missing(&format!("send `Sec-WebSocket-Protocol: {subprotocol}`")));
    }
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|error| ProblemKind::Internal.because(error.to_string()))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let to = response.headers_mut();
    to.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    to.insert(UPGRADE, HeaderValue::from_static("websocket"));
    to.insert(SEC_WEBSOCKET_ACCEPT, accept);
    to.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    Ok((response, Pending { on: hyper::upgrade::on(request), meter }))
}

impl Pending {
    /// Waits for the answer to have gone and takes the TLS connection over. None where the peer went away before.
    pub(super) async fn socket(self, config: SocketConfig) -> Option<Socket<Io>> {
        let upgraded = tokio::time::timeout(HANDSHAKE_WITHIN, self.on).await.ok()?.ok()?;
        let parts = upgraded.downcast::<TokioIo<Io>>().ok()?;
        Some(accept(parts.io.into_inner(), &parts.read_buf, self.meter, config).await)
    }

    /// The same, on either port.
    pub(super) async fn any_socket(self, config: SocketConfig) -> Option<Socket<Either<Io, PlainIo>>> {
        let upgraded = tokio::time::timeout(HANDSHAKE_WITHIN, self.on).await.ok()?.ok()?;
        let (io, read) = match upgraded.downcast::<TokioIo<Io>>() {
            Ok(parts) => (Either::Left(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => {
                let parts = upgraded.downcast::<TokioIo<PlainIo>>().ok()?;
                (Either::Right(parts.io.into_inner()), parts.read_buf)
            }
        };
        Some(accept(io, &read, self.meter, config).await)
    }
}

/// What the HTTP library has read beyond its request is copied, so that it does not keep its whole buffer.
async fn accept<S>(io: S, read: &[u8], meter: Meter, config: SocketConfig) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    inkwire_transport::accept(io, Bytes::copy_from_slice(read), meter, config).await
}

/// Whether a header that is a list holds a token, in any case.
fn has_token(headers: &HeaderMap, name: http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_lists_only_as_a_whole() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("inkwire.app.v12"));
        assert!(has_token(&headers, CONNECTION, "upgrade"));
        assert!(!has_token(&headers, SEC_WEBSOCKET_PROTOCOL, "inkwire.app.v1"));
        assert!(!has_token(&headers, UPGRADE, "websocket"));
    }
}
