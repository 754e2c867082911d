//! Notice of a change in the PC's own network, and where a route to the broker begins.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The address that a connection to `remote` would have on this side now. Sends nothing.
pub(super) fn source_address(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Whether an interface of this PC has this address. Where the system does not say, it has.
pub(super) fn is_own(address: IpAddr) -> bool {
    if_addrs::get_if_addrs().map_or(true, |all| all.iter().any(|interface| interface.ip() == address))
}

pub(super) use watch::Watcher;

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
mod watch {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use futures_util::StreamExt as _;
    use if_watch::IfEvent;
    use if_watch::tokio::IfWatcher;

    /// Watches the PC's addresses. Where the system does not tell, it never says anything: stalls are still noticed.
    pub(in crate::link) struct Watcher {
        watcher: Option<IfWatcher>,
        /// Addresses that were there at the start: the first word about each of them is no news.
        known: HashSet<IpAddr>,
    }

    impl Watcher {
        pub(in crate::link) fn new() -> Self {
            let watcher = IfWatcher::new()
                .inspect_err(|error| tracing::debug!(%error, "the system does not tell of network changes"));
            let here = if_addrs::get_if_addrs().unwrap_or_default();
            Self { watcher: watcher.ok(), known: here.iter().map(if_addrs::Interface::ip).collect() }
        }

        /// Returns when an address came or went.
        pub(in crate::link) async fn changed(&mut self) {
            let Some(watcher) = &mut self.watcher else { return std::future::pending().await };
            loop {
                match watcher.next().await {
                    Some(Ok(IfEvent::Up(address))) if self.known.remove(&address.addr()) => {}
                    Some(Ok(event)) => {
                        tracing::debug!(?event, "the network changed");
                        return;
                    }
                    Some(Err(_)) | None => {
                        tracing::debug!("the system tells no more of network changes");
                        self.watcher = None;
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod watch {
    /// This system does not tell of network changes; stalls are still noticed.
    pub(in crate::link) struct Watcher;

    impl Watcher {
        pub(in crate::link) fn new() -> Self {
            Self
        }

        pub(in crate::link) async fn changed(&mut self) {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_to_this_pc_begins_at_this_pc() {
        let broker = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        assert_eq!(source_address(broker).unwrap(), Ipv4Addr::LOCALHOST);
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()), "an address of documentation");
    }
}
