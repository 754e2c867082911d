//! PROXY protocol version 2 (haproxy's proxy-protocol.txt, section 2.2): where a connection comes from, in binary before
//! its first byte. Only read from configured proxies, and from those always.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ppp::v2::{Addresses, Command, Header, ParseError};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::MAX_PROXY_HEADER_BYTES;

/// Signature, version, family and length.
const FIXED_BYTES: usize = 16;

/// A header that cannot be used: the proxy is at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// Nothing came, or it came too slowly.
    #[error("the proxy sent no PROXY header in time")]
    TimedOut,
    /// The connection broke.
    #[error("the connection ended within the PROXY header")]
    Io(#[from] std::io::Error),
    /// Not a header of version 2.
    #[error("not a PROXY header of version 2: have the proxy send one (`send-proxy-v2`)")]
    NotV2,
    /// Longer than any that we read.
    #[error("PROXY header of {0} bytes, at most {MAX_PROXY_HEADER_BYTES} are read")]
    Long(usize),
}

/// Reads the header and nothing after it. The peer's own address stands where the proxy speaks for itself (`LOCAL`:
/// its health checks) or for something that has no address.
pub(crate) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
    proxy: SocketAddr,
    within: Duration,
) -> Result<SocketAddr, ProxyError> {
    tokio::time::timeout(within, read(stream, proxy)).await.map_err(|_| ProxyError::TimedOut)?
}

async fn read(stream: &mut (impl AsyncRead + Unpin), proxy: SocketAddr) -> Result<SocketAddr, ProxyError> {
    let mut bytes = vec![0; FIXED_BYTES];
    stream.read_exact(&mut bytes).await?;
    if !bytes.starts_with(ppp::v2::PROTOCOL_PREFIX) {
        return Err(ProxyError::NotV2);
    }
    let more = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if FIXED_BYTES + more > MAX_PROXY_HEADER_BYTES {
        return Err(ProxyError::Long(FIXED_BYTES + more));
    }
    bytes.resize(FIXED_BYTES + more, 0);
    stream.read_exact(&mut bytes[FIXED_BYTES..]).await?;
    let header = Header::try_from(bytes.as_slice()).map_err(|_: ParseError| ProxyError::NotV2)?;
    Ok(source(&header).unwrap_or(proxy))
}

fn source(header: &Header<'_>) -> Option<SocketAddr> {
    if header.command == Command::Local {
        return None;
    }
    match header.addresses {
        Addresses::IPv4(v4) => Some(SocketAddr::new(IpAddr::V4(v4.source_address), v4.source_port)),
        Addresses::IPv6(v6) => {
            Some(SocketAddr::new(IpAddr::V6(v6.source_address).to_canonical(), v6.source_port))
        }
        Addresses::Unix(_) | Addresses::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ppp::v2::{Builder, Protocol, Version};

    const PROXY: &str = "10.0.0.1:9999";

    async fn read_bytes(bytes: &[u8]) -> Result<SocketAddr, ProxyError> {
        read_header(&mut &bytes[..], PROXY.parse().unwrap(), Duration::from_secs(1)).await
    }

    fn header(command: Command) -> Vec<u8> {
        let from: SocketAddr = "203.0.113.9:47011".parse().unwrap();
        let to: SocketAddr = "10.0.0.2:7443".parse().unwrap();
        Builder::with_addresses(Version::Two | command, Protocol::Stream, (from, to)).build().unwrap()
    }

    #[tokio::test]
    async fn the_source_is_read_and_nothing_after_it() {
        let mut bytes = header(Command::Proxy);
        bytes.extend_from_slice(b"\x16\x03\x01");
        let mut stream = &bytes[..];
        let peer = read_header(&mut stream, PROXY.parse().unwrap(), Duration::from_secs(1)).await.unwrap();
        assert_eq!(peer, "203.0.113.9:47011".parse().unwrap());
        assert_eq!(stream, b"\x16\x03\x01");
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_is_itself() {
        assert_eq!(read_bytes(&header(Command::Local)).await.unwrap(), PROXY.parse().unwrap());
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        assert!(matches!(
            read_bytes(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh").await,
            Err(ProxyError::NotV2)
        ));
        assert!(matches!(
            read_bytes(b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n").await,
            Err(ProxyError::NotV2)
        ));
        assert!(matches!(read_bytes(&header(Command::Proxy)[..20]).await, Err(ProxyError::Io(_))));
        let mut long = header(Command::Proxy);
        long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        assert!(matches!(read_bytes(&long).await, Err(ProxyError::Long(65_551))));
    }
}
