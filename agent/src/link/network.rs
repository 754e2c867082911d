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
    use futures_util::StreamExt as _;
    use if_watch::tokio::IfWatcher;

    /// Watches the PC's addresses. Where the system does not tell, it never says anything: stalls are still noticed.
    pub(in crate::link) struct Watcher(Option<IfWatcher>);

    impl Watcher {
        pub(in crate::link) fn new() -> Self {
            let watcher = IfWatcher::new()
                .inspect_err(|error| tracing::debug!(%error, "the system does not tell of network changes"));
            Self(watcher.ok())
        }

        /// Returns when an address came or went.
        pub(in crate::link) async fn changed(&mut self) {
            let Some(watcher) = &mut self.0 else { return std::future::pending().await };
            match watcher.next().await {
                Some(Ok(event)) => tracing::debug!(?event, "the network changed"),
                Some(Err(_)) | None => {
                    tracing::debug!("the system tells no more of network changes");
                    self.0 = None;
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
