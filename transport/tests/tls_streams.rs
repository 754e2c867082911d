//! The server's TLS stream against rustls's own client: every length, every cut, every end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use common::issued;
use inkwire_transport::{ServerStream, ServerTls, accept_tls, provider};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex, split,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Both ends' configuration, for one version of TLS.
fn configs(version: &'static SupportedProtocolVersion) -> (ServerTls, Arc<ClientConfig>) {
    let (ca, server) = issued(&["localhost"], SystemTime::now());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.certificate_pem.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (ServerTls::from_issued(&server).unwrap(), Arc::new(client))
}

/// Gives at most so many bytes a read, and takes at most so many a write.
struct Chopped<S>(S, usize);

impl<S: AsyncRead + Unpin> AsyncRead for Chopped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut part = vec![0; self.1.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut part);
        let polled = Pin::new(&mut self.0).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Chopped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let most = self.1.min(buf.len());
        Pin::new(&mut self.0).poll_write(cx, &buf[..most])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

type Server = ServerStream<Chopped<DuplexStream>>;
type Client = TlsStream<DuplexStream>;

/// A connection whose server gets and gives at most `most` bytes at once.
async fn connected(tls: &ServerTls, client: &Arc<ClientConfig>, most: usize) -> (Server, Client) {
    let (near, far) = duplex(256 * 1024);
    let server = accept_tls(Chopped(near, most), tls.config());
    let connecting = TlsConnector::from(Arc::clone(client)).connect("localhost".try_into().unwrap(), far);
    let (server, client) = tokio::join!(server, connecting);
    (server.unwrap(), client.unwrap())
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn what_is_sent_arrives_both_ways_however_it_is_cut() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (tls, config) = configs(version);
        for most in [1, 7, 1000, 16_384, 1 << 20] {
            let (server, client) = connected(&tls, &config, most).await;
            let count = if most < 100 { 40_000 } else { 1_000_000 };
            let data = bytes(count);
            let ((mut server_reads, mut server_writes), (mut client_reads, mut client_writes)) =
                (split(server), split(client));
            let up = async {
                client_writes.write_all(&data).await.unwrap();
                client_writes.shutdown().await.unwrap();
            };
            let down = async {
                // Pieces of every size, a record's and a frame's among them.
                let mut rest = &data[..];
                let mut size = 1;
                while !rest.is_empty() {
                    let piece;
                    (piece, rest) = rest.split_at(size.min(rest.len()));
                    server_writes.write_all(piece).await.unwrap();
                    size = size * 3 % 20_011 + 1;
                }
                server_writes.shutdown().await.unwrap();
            };
            let at_server = async {
                let mut got = Vec::new();
                let mut piece = vec![0; 777];
                loop {
                    match server_reads.read(&mut piece).await.unwrap() {
                        0 => return got,
                        read => got.extend_from_slice(&piece[..read]),
                    }
                }
            };
            let at_client = async {
                let mut got = Vec::new();
                client_reads.read_to_end(&mut got).await.unwrap();
                got
            };
            let ((), (), at_server, at_client) = tokio::join!(up, down, at_server, at_client);
            assert!(at_server == data, "{version:?}, {most} bytes at once: up");
            assert!(at_client == data, "{version:?}, {most} bytes at once: down");
        }
    }
}

#[tokio::test]
async fn who_comes_back_resumes_by_a_ticket() {
    let (tls, config) = configs(&rustls::version::TLS13);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (mut server, mut client) = connected(&tls, &config, 1 << 20).await;
        server.write_all(b"hello").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn a_change_of_keys_is_answered_and_goes_unnoticed() {
    let (tls, config) = configs(&rustls::version::TLS13);
    let (mut server, mut client) = connected(&tls, &config, 100).await;
    for round in 0..5_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 300]).await.unwrap();
        client.flush().await.unwrap();
        let mut got = [0; 300];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 300]);
        server.write_all(&[round; 5]).await.unwrap();
        server.flush().await.unwrap();
        let mut got = [0; 5];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 5]);
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_an_error_and_one_with_it_is_not() {
    let (tls, config) = configs(&rustls::version::TLS13);
    let (mut server, mut client) = connected(&tls, &config, 1 << 20).await;
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"last words");
    // The other direction is still open.
    server.write_all(b"heard").await.unwrap();
    server.shutdown().await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"heard");

    let (mut server, mut client) = connected(&tls, &config, 1 << 20).await;
    client.write_all(b"half of it").await.unwrap();
    client.flush().await.unwrap();
    drop(client);
    let mut got = [0; 10];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"half of it");
    let error = server.read(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_is_not_tls_is_refused_with_an_alert() {
    let (tls, _) = configs(&rustls::version::TLS13);
    let (near, mut far) = duplex(64 * 1024);
    far.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    let error = accept_tls(near, tls.config()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let mut alert = Vec::new();
    far.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert.first(), Some(&21), "an alert record: {alert:?}");

    let (near, far) = duplex(64);
    drop(far);
    let error = accept_tls(near, tls.config()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_damaged_record_ends_it_behind_what_came_whole() {
    let (tls, config) = configs(&rustls::version::TLS13);
    let (near, far) = duplex(256 * 1024);
    let (wire, mut middle) = duplex(256 * 1024);
    let connecting = TlsConnector::from(Arc::clone(&config)).connect("localhost".try_into().unwrap(), wire);
    let (mut far_reads, mut far_writes) = split(far);
    let handshake = async {
        let (server, client) = tokio::join!(accept_tls(near, tls.config()), connecting);
        (server.unwrap(), client.unwrap())
    };
    let (mut server, mut client) = {
        let (mut middle_reads, mut middle_writes) = split(&mut middle);
        tokio::select! {
            done = handshake => done,
            _ = tokio::io::copy(&mut middle_reads, &mut far_writes) => panic!("the client went"),
            _ = tokio::io::copy(&mut far_reads, &mut middle_writes) => panic!("the server went"),
        }
    };
    client.write_all(b"whole").await.unwrap();
    client.flush().await.unwrap();
    client.write_all(b"damaged").await.unwrap();
    client.flush().await.unwrap();
    drop(client);
    let mut records = Vec::new();
    middle.read_to_end(&mut records).await.unwrap();
    *records.last_mut().unwrap() ^= 1;
    far_writes.write_all(&records).await.unwrap();
    let mut got = [0; 5];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"whole");
    for _ in 0..2 {
        let error = server.read(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_waited_for() {
    let (tls, config) = configs(&rustls::version::TLS13);
    let (near, far) = duplex(8 * 1024);
    let connecting = TlsConnector::from(config).connect("localhost".try_into().unwrap(), far);
    let (server, client) = tokio::join!(accept_tls(near, tls.config()), connecting);
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let data = bytes(100_000);
    let mut taken = 0;
    std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut server).poll_write(cx, &data[taken..]) {
                Poll::Ready(bytes) => taken += bytes.unwrap(),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    })
    .await;
    assert!(taken <= 16 * 1024, "{taken} bytes were taken for a peer with room for half a record");
    let (sent, got) = tokio::join!(
        async {
            server.write_all(&data[taken..]).await.unwrap();
            server.shutdown().await
        },
        async {
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.unwrap();
            got
        }
    );
    sent.unwrap();
    assert!(got == data);
}
