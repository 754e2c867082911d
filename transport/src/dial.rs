//! From a broker's URL to a socket: resolve, connect, TLS, HTTP upgrade, all within one deadline.

mod connect;
mod error;
mod upgrade;

pub use error::{DialError, Stage};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::certs;
use crate::clock::ClockOffset;
use crate::metered::Metered;
use crate::options::set_socket_options;
use crate::socket::{Socket, SocketConfig};
use crate::url::BrokerUrl;

/// What a dialled socket stands on.
pub type DialIo = TlsStream<Metered<TcpStream>>;

/// One attempt to reach a broker.
#[derive(Debug, Clone)]
pub struct Dial<'a> {
    /// Where to.
    pub url: &'a BrokerUrl,
    /// What [`crate::client_config`] made; the same value for every dial, so that sessions are resumed.
    pub tls: Arc<ClientConfig>,
    /// The clock that was given to it.
    pub clock: &'a ClockOffset,
    /// Path of the request, for example `/v1/agent`.
    pub path: &'a str,
    /// The WebSocket subprotocol that the broker must agree to.
    pub subprotocol: &'a str,
    /// Further headers, for example `Authorization`; mark secret values with `HeaderValue::set_sensitive`.
    pub headers: HeaderMap,
    /// The local address to dial from; only addresses of its family are tried then.
    pub bind: Option<IpAddr>,
    /// For everything together.
    pub deadline: Duration,
    /// Bounds of the socket.
    pub socket: SocketConfig,
}

/// A socket, and who is at its other end.
#[derive(Debug)]
pub struct Dialled {
    /// The socket.
    pub socket: Socket<DialIo>,
    /// What the broker presented (in the handshake, or in the one that was resumed).
    pub certificates: PeerCertificates,
    /// The certificate is not valid at the time that this PC believes, and no broker has told the time yet: believe nothing
    /// until [`PeerCertificates::check_validity`] passes at the time that the broker tells.
    pub clock_doubtful: bool,
    /// Whether the TLS session was resumed.
    pub resumed: bool,
    /// This end of the connection.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// The chain that a broker presented.
#[derive(Debug, Clone)]
pub struct PeerCertificates(Vec<CertificateDer<'static>>);

/// The broker's certificate is not valid at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the broker's certificate is valid from {from_s} to {until_s}, not at {at_s} (seconds since 1970): renew it"
)]
pub struct NotValid {
    /// Begin, in seconds since the Unix epoch.
    pub from_s: u64,
    /// End.
    pub until_s: u64,
    /// The time in question.
    pub at_s: u64,
}

impl PeerCertificates {
    /// Whether the server's certificate is valid at `time` (since the Unix epoch).
    pub fn check_validity(&self, time: Duration) -> Result<(), NotValid> {
        // The handshake has parsed it already; one that cannot be parsed now is never valid.
        let validity = self.0.first().and_then(|first| certs::validity(first).ok());
        let (begin, end) = validity.unwrap_or((Duration::MAX, Duration::ZERO));
        if begin <= time && time <= end {
            return Ok(());
        }
        Err(NotValid { from_s: begin.as_secs(), until_s: end.as_secs(), at_s: time.as_secs() })
    }

    /// The certificates, the server's first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

/// Makes one attempt. Cancel safe in that dropping the future closes whatever was opened.
pub async fn dial(dial: Dial<'_>) -> Result<Dialled, DialError> {
    let until = Instant::now() + dial.deadline;
    let late = |stage| move |_| DialError::TimedOut { stage, after: dial.deadline };

    let addresses =
        timeout_at(until, connect::resolve(dial.url, dial.bind)).await.map_err(late(Stage::Resolve))??;
    let tcp = connect::connect(&addresses, dial.bind, until).await?;
    let (local, remote) = (tcp.local_addr(), tcp.peer_addr());
    let ends = local.and_then(|local| Ok((local, remote?)));
    let (local, remote) =
        ends.and_then(|ends| set_socket_options(&tcp).map(|()| ends)).map_err(DialError::Lost)?;

    let metered = Metered::new(tcp);
    let meter = metered.meter();
    let name = dial.url.server_name().map_err(DialError::Url)?;
    let handshake = TlsConnector::from(Arc::clone(&dial.tls)).connect(name, metered);
    let tls = timeout_at(until, handshake).await.map_err(late(Stage::Tls))?.map_err(DialError::from_tls)?;
    let session = tls.get_ref().1;
    let certificates = PeerCertificates(
        session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(CertificateDer::into_owned)
            .collect(),
    );
    let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let clock_doubtful = dial
        .clock
        .candidates()
        .iter()
        .all(|time| certificates.check_validity(Duration::from_secs(time.as_secs())).is_err());

    let upgraded = timeout_at(until, upgrade::upgrade(tls, &dial)).await.map_err(late(Stage::Upgrade))??;
    let (io, leftover) = upgraded;
    let socket = Socket::over(io, leftover, meter, dial.socket, Role::Client).await;
    Ok(Dialled { socket, certificates, clock_doubtful, resumed, local, remote })
}
