//! Where a connection comes from: said by proxies that are configured, and by nobody else.

use std::net::SocketAddr;

use http::HeaderValue;
use inkwire_broker::{ProxyHeader, RawProxies};
use inkwire_protocol::message::{AGENT_PATH, AGENT_SUBPROTOCOL, ToAgent, ToBroker};
use inkwire_transport::BrokerUrl;
use ppp::v2::{Builder, Command, Protocol, Version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::device::{Device, Link};
use crate::lab::Lab;

fn proxies(trusted: &str, header: ProxyHeader) -> Option<RawProxies> {
    Some(RawProxies { trusted: vec![trusted.to_owned()], header })
}

/// A proxy that says `from` of every connection.
async fn proxy(to: SocketAddr, from: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let mut outside = TcpStream::connect(to).await.unwrap();
            let header = Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, (from, to));
            outside.write_all(&header.build().unwrap()).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut inside, &mut outside).await });
        }
    });
    address
}

async fn observed_by_header(
    lab: &Lab,
    device: &mut Device,
    name: &'static str,
    value: &'static str,
) -> SocketAddr {
    device.headers.insert(name, HeaderValue::from_static(value));
    device.connect(lab).await.1.observed_endpoint
}

#[tokio::test]
async fn a_configured_proxys_header_is_believed() {
    let lab = Lab::start_with(|raw| raw.proxies = proxies("127.0.0.0/8", ProxyHeader::Forwarded)).await;
    let mut device = Device::enrolled(&lab).await;
    let seen =
        observed_by_header(&lab, &mut device, "forwarded", r#"for=198.51.100.1, for="203.0.113.9:47011""#)
            .await;
    assert_eq!(seen, "203.0.113.9:47011".parse().unwrap());
    let direct =
        observed_by_header(&lab, &mut Device::enrolled(&lab).await, "x-forwarded-for", "203.0.113.9").await;
    assert_eq!(direct.ip().to_string(), "127.0.0.1", "another header says nothing");
}

#[tokio::test]
async fn anybody_elses_header_is_not() {
    let lab = Lab::start_with(|raw| raw.proxies = proxies("10.0.0.0/8", ProxyHeader::XForwardedFor)).await;
    let mut device = Device::enrolled(&lab).await;
    let seen = observed_by_header(&lab, &mut device, "x-forwarded-for", "203.0.113.9").await;
    assert_eq!(seen.ip().to_string(), "127.0.0.1");
}

#[tokio::test]
async fn proxy_protocol_is_read_from_proxies_only() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let lab = Lab::start_in(folder.clone(), |_| {}).await;
    let mut device = Device::enrolled(&lab).await;
    let from: SocketAddr = "203.0.113.9:47011".parse().unwrap();
    let through =
        |address: SocketAddr, lab: &Lab| BrokerUrl::new("127.0.0.1", address.port(), lab.url.pin()).unwrap();
    // Not configured: what the proxy says is no TLS.
    let url = through(proxy(lab.address, from).await, &lab);
    assert!(lab.dial_at(&url, AGENT_PATH, AGENT_SUBPROTOCOL, device.headers.clone()).await.is_err());
    lab.stop().await.1.unwrap();

    let lab = Lab::start_in(folder, |raw| raw.proxies = proxies("127.0.0.1", ProxyHeader::ProxyV2)).await;
    let url = through(proxy(lab.address, from).await, &lab);
    let claims = device.claims();
    let bearer = HeaderValue::from_str(&format!("Bearer {}", device.sign(&claims))).unwrap();
    device.headers.insert("authorization", bearer);
    let dialled = lab.dial_at(&url, AGENT_PATH, AGENT_SUBPROTOCOL, device.headers.clone()).await.unwrap();
    let mut link = Link(dialled.socket);
    link.say(&ToBroker::Hello(Box::new(device.hello())));
    let ToAgent::Welcome(welcome) = link.receive().await else { panic!("no welcome") };
    assert_eq!(welcome.observed_endpoint, from);
    // A configured proxy must always say it.
    assert!(lab.dial(AGENT_PATH, AGENT_SUBPROTOCOL, device.headers.clone()).await.is_err());
}
