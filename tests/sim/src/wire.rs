//! Sockets and lines, in the place of `inkwire_transport`: messages in order, with what a line does to them.

mod line;
mod names;
mod socket;

pub(crate) use line::{Conn, Cut, Knock, Line, Side, net};
pub(crate) use names::{
    BrokerUrl, ClientConfig, ClockOffset, Closed, DialError, EncodingKey, Full, PeerCertificates, Ready,
    SocketConfig, TlsSetupError, Trust, client_config,
};
pub(crate) use socket::Socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::oneshot;

/// What stands for the stream beneath a socket.
pub(crate) type DialIo = tokio::io::DuplexStream;

/// A connection to make.
#[expect(dead_code, reason = "the product says more than a simulated line asks")]
pub(crate) struct Dial<'a> {
    pub(crate) url: &'a BrokerUrl,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) clock: &'a ClockOffset,
    pub(crate) path: &'a str,
    pub(crate) subprotocol: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) bind: Option<std::net::IpAddr>,
    pub(crate) deadline: Duration,
    pub(crate) socket: SocketConfig,
}

/// A connection that was made.
#[expect(dead_code, reason = "the product says more than a simulated line asks")]
pub(crate) struct Dialled {
    pub(crate) socket: Socket<DialIo>,
    pub(crate) certificates: PeerCertificates,
    pub(crate) clock_doubtful: bool,
    pub(crate) resumed: bool,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// Dials the broker over the line of the process's PC.
pub(crate) async fn dial(dial: Dial<'_>) -> Result<Dialled, DialError> {
    let line = net(|net| net.line_of_process());
    let bearer = dial.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    match tokio::time::timeout(dial.deadline, knock(&line, bearer)).await {
        Ok(dialled) => dialled,
        Err(_) => Err(DialError::Unreachable),
    }
}

async fn knock(line: &Arc<Line>, bearer: String) -> Result<Dialled, DialError> {
    line.handshake().await;
    let local = line.local();
    let observed = line.observed();
    let conn = Conn::new(Arc::clone(line));
    let (answer, answered) = oneshot::channel();
    let knock = Knock { bearer, conn: Arc::clone(&conn), observed, answer };
    let door = net(|net| net.door()).ok_or(DialError::Unreachable)?;
    door.send(knock).map_err(|_| DialError::Unreachable)?;
    let answered = answered.await.map_err(|_| DialError::Unreachable)?;
    line.half_trip().await;
    answered?;
    net(|net| net.keep(&conn));
    Ok(Dialled {
        socket: Socket::new(conn, Side::Agent),
        certificates: PeerCertificates,
        clock_doubtful: false,
        resumed: false,
        local,
        remote: SocketAddr::from(([192, 0, 2, 1], 443)),
    })
}
