//! Options of a TCP socket. What only one system has stands in its own module.

use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::limits::{KEEPALIVE_AFTER, KEEPALIVE_EVERY, KEEPALIVE_TRIES};

/// Sets what every connection of ours needs: no Nagle delay, keepalive, and where the system has them an end to
/// unacknowledged data ([`crate::limits::TCP_USER_TIMEOUT`]) and a short unsent queue
/// ([`crate::limits::NOTSENT_LOWAT_BYTES`]).
pub fn set_socket_options(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    system::set(&socket)
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use socket2::SockRef;

    use crate::limits::{NOTSENT_LOWAT_BYTES, TCP_USER_TIMEOUT};

    pub(super) fn set(socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use socket2::SockRef;

    pub(super) fn set(_: &SockRef<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::limits::{NOTSENT_LOWAT_BYTES, TCP_USER_TIMEOUT};

    #[tokio::test]
    async fn a_socket_gets_every_option() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        set_socket_options(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(TCP_USER_TIMEOUT));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT_LOWAT_BYTES);
    }
}
