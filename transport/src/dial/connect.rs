//! Addresses of a host, tried in turn.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::error::DialError;
use crate::url::BrokerUrl;

/// The addresses of the URL's host, of the family of `bind` where that is given. Never empty.
pub(super) async fn resolve(url: &BrokerUrl, bind: Option<IpAddr>) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |source| DialError::Resolve { host: url.host(), source };
    let found = lookup_host((url.host(), url.port())).await.map_err(failed)?;
    let addresses: Vec<_> =
        found.filter(|address| bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())).collect();
    if addresses.is_empty() {
        let reason = match bind {
            Some(bind) => format!("no address of the same family as {bind}"),
            None => "no address".to_owned(),
        };
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, reason)));
    }
    Ok(addresses)
}

/// A connection to the first address that answers. Each gets an equal share of the time that is left, so that
/// a dead one does not use up the others' turn.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    bind: Option<IpAddr>,
    until: Instant,
) -> Result<TcpStream, DialError> {
    let mut tried = Vec::new();
    for (&address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX);
        let result = match timeout_at(now + share, connect_one(address, bind)).await {
            Ok(result) => result,
            Err(late) => Err(late.into()),
        };
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => tried.push((address, error)),
        }
    }
    let timed_out =
        !tried.is_empty() && tried.iter().all(|(_, error)| error.kind() == io::ErrorKind::TimedOut);
    Err(DialError::Connect { tried, timed_out })
}

async fn connect_one(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(bind) = bind {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    socket.connect(address).await
}
