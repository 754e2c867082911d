//! Headers of proxies.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::ProxyHeader;

#[path = "../../broker/src/listen/forwarded.rs"]
mod forwarded;
#[path = "../../broker/src/listen/proxy_v2.rs"]
mod proxy_v2;

const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 443);

thread_local! {
    static RUNTIME: RefCell<Option<tokio::runtime::Runtime>> = const { RefCell::new(None) };
}

/// PROXY protocol version 2 before a connection's first byte.
pub fn proxy(bytes: &[u8]) {
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
        });
        let mut stream = bytes;
        let read = proxy_v2::read_header(&mut stream, PROXY, Duration::from_secs(60));
        if runtime.block_on(read).is_ok() {
            // Nothing after the header is taken.
            let header = 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
            assert_eq!(bytes.len() - stream.len(), header);
        }
    });
}

/// `Forwarded` and `X-Forwarded-For`, one line each.
pub fn forwarded(text: &str) {
    for header in [ProxyHeader::Forwarded, ProxyHeader::XForwardedFor] {
        let trusts = |ip: IpAddr| ip == PROXY.ip();
        if let Ok(peer) = forwarded::peer(header, text.lines(), trusts) {
            assert!(!matches!(peer.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()));
        }
    }
}
