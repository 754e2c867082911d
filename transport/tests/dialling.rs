//! Who is trusted, what is refused, and what a dialler is told. Over real TLS.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use common::*;
use http::{Response, StatusCode};
use http_body_util::Full;
use inkwire_protocol::close::AfterClose;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_transport::certs::{CA_LIFETIME, SERVER_LIFETIME};
use inkwire_transport::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

async fn attempt(server: &Server, clock: Arc<ClockOffset>) -> Result<Dialled, DialError> {
    let tls = client_config(Trust::of(&server.url), Arc::clone(&clock)).unwrap();
    dial(to(&server.url, &tls, &clock)).await
}

async fn made_at(made: SystemTime) -> Server {
    let (_, issued) = issued(&["127.0.0.1"], made);
    server_with(ServerTls::from_issued(&issued).unwrap(), SocketConfig::AGENT, Arc::new(|_| None)).await
}

#[tokio::test]
async fn the_right_pin_is_accepted_without_doubt() {
    let server = server().await;
    let dialled = attempt(&server, Arc::default()).await.unwrap();
    assert!(!dialled.clock_doubtful && !dialled.resumed);
    assert_eq!(dialled.remote, server.address);
    assert_eq!(dialled.certificates.chain().len(), 2);
    dialled.certificates.check_validity(now()).unwrap();
}

#[tokio::test]
async fn another_pin_is_refused_and_named() {
    let mut server = server().await;
    server.url = server.url.clone().with_pin(Some(Sha256Digest::of(b"another authority")));
    let error = attempt(&server, Arc::default()).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Pin(mismatch) if mismatch.pinned == Sha256Digest::of(b"another authority"))
    );
    assert!(matches!(error.retry(), AfterClose::ReconnectAfter(_)));
}

/// An attacker can add the real authority's certificate to a chain of his own; nothing is signed by it.
#[tokio::test]
async fn the_pinned_certificate_must_have_signed() {
    let (real_ca, _) = issued(&["127.0.0.1"], SystemTime::now());
    let (_, mut forged) = issued(&["127.0.0.1"], SystemTime::now());
    forged.certificate_pem.push_str(&real_ca.certificate_pem);
    let tls = ServerTls::from_issued(&forged).unwrap();
    assert_eq!(tls.pin(), real_ca.pin().unwrap());
    let server = server_with(tls, SocketConfig::AGENT, Arc::new(|_| None)).await;
    let error = attempt(&server, Arc::default()).await.unwrap_err();
    assert!(matches!(error, DialError::Certificate(_)), "{error}");
    assert!(!error.is_expired());
}

#[tokio::test]
async fn another_name_is_refused() {
    let (_, issued) = issued(&["broker.example"], SystemTime::now());
    let tls = ServerTls::from_issued(&issued).unwrap();
    let server = server_with(tls, SocketConfig::AGENT, Arc::new(|_| None)).await;
    let error = attempt(&server, Arc::default()).await.unwrap_err();
    assert!(
        matches!(error, DialError::Certificate(_)) && error.to_string().contains("broker.example"),
        "{error}"
    );
}

#[tokio::test]
async fn a_private_authority_is_nothing_to_the_platform() {
    let mut server = server().await;
    server.url = server.url.clone().with_pin(None);
    let error = attempt(&server, Arc::default()).await.unwrap_err();
    assert!(matches!(error, DialError::Certificate(_) | DialError::Tls(_)), "{error}");
}

/// This PC believes a time at which the certificate is not valid: as if its clock stood wrong. It connects, and says so.
#[tokio::test]
async fn a_wrong_time_alone_is_doubtful_until_the_time_is_known() {
    for made in [SystemTime::now() + 10 * YEAR, SystemTime::now() - 3 * YEAR, SystemTime::UNIX_EPOCH + YEAR] {
        let server = made_at(made).await;
        let clock = Arc::new(ClockOffset::new());
        let dialled = attempt(&server, Arc::clone(&clock)).await.unwrap();
        assert!(dialled.clock_doubtful);
        dialled.certificates.check_validity(now()).unwrap_err();
        // The broker says that it is the day on which its certificate was made.
        let there = made.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        dialled.certificates.check_validity(there).unwrap();
        clock.correct(there);
        assert!(!attempt(&server, Arc::clone(&clock)).await.unwrap().clock_doubtful);
    }
}

#[tokio::test]
async fn expired_by_the_corrected_clock_is_refused() {
    let server = server().await;
    for wrong in [now() + SERVER_LIFETIME, now() + CA_LIFETIME, now() - YEAR, Duration::ZERO] {
        let clock = Arc::new(ClockOffset::new());
        clock.correct(wrong);
        let error = attempt(&server, clock).await.unwrap_err();
        assert!(error.is_expired(), "{error}");
    }
}

#[tokio::test]
async fn a_redial_resumes_its_session_also_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let (ca, first) = issued(&["127.0.0.1"], SystemTime::now());
    // The chain file lacks the authority, which stands in a file of its own.
    write("server.pem", first.certificate_pem.strip_suffix(&ca.certificate_pem).unwrap());
    write("server.key", &first.key_pem);
    write("ca.pem", &ca.certificate_pem);
    let path = |name: &str| folder.path().join(name);
    let files = TlsFiles {
        certificate: path("server.pem"),
        key: path("server.key"),
        authority: Some(path("ca.pem")),
    };
    let tls = ServerTls::load(files).unwrap();
    assert_eq!(tls.pin(), ca.pin().unwrap());
    let mut server = server_with(tls, SocketConfig::AGENT, Arc::new(|_| None)).await;
    let (config, clock) = (trusting(&server.url), ClockOffset::new());

    let redial = async |server: &mut Server| {
        let mut dialled = dial(to(&server.url, &config, &clock)).await.unwrap();
        // A ticket comes after the handshake: read once.
        let mut accepted = server.sockets.recv().await.unwrap();
        accepted.queue_text("welcome").unwrap();
        accepted.flush().await.unwrap();
        assert_eq!(dialled.socket.ready(false).await, Ready::Text("welcome".into()));
        dialled.resumed
    };
    assert!(!redial(&mut server).await);
    assert!(redial(&mut server).await);

    assert!(!server.tls.reload().unwrap());
    let second = certs::issue_server(&["127.0.0.1".into()], &ca, SystemTime::now()).unwrap();
    write("server.pem", &second.certificate_pem);
    let error = server.tls.reload().unwrap_err();
    assert!(matches!(error, ServerTlsError::Rustls(_)), "certificate and key do not match: {error}");
    assert!(redial(&mut server).await, "the old one stays in use");
    write("server.key", &second.key_pem);
    assert!(server.tls.reload().unwrap());
    assert!(redial(&mut server).await, "ticket keys outlive a reload");

    let fresh = dial(to(&server.url, &trusting(&server.url), &clock)).await.unwrap();
    let presented = fresh.certificates.chain();
    assert_eq!(presented, certs::chain_from_pem(&second.certificate_pem).unwrap());
}

#[tokio::test]
async fn a_refusal_brings_status_body_and_retry_after() {
    let answer: Answer = Arc::new(|request| {
        assert_eq!(request.headers()["authorization"], "Bearer test");
        let body = format!("{{\"error\":\"clock\",\"broker_time_ms\":1,\"pad\":\"{}\"}}", "x".repeat(10_000));
        let response = Response::builder().status(StatusCode::UNAUTHORIZED).header("retry-after", "7");
        Some(response.body(Full::new(Bytes::from(body))).unwrap())
    });
    let (_, issued) = issued(&["127.0.0.1"], SystemTime::now());
    let server = server_with(ServerTls::from_issued(&issued).unwrap(), SocketConfig::AGENT, answer).await;
    let error = attempt(&server, Arc::default()).await.unwrap_err();
    assert_eq!(error.retry(), AfterClose::ReconnectAfter(Duration::from_secs(7)));
    assert!(error.to_string().len() < 400, "{error}");
    let DialError::Http { status, body, .. } = error else { panic!("{error}") };
    assert_eq!((status, body.len()), (StatusCode::UNAUTHORIZED, limits::MAX_ERROR_BODY_BYTES));
    assert!(body.starts_with(b"{\"error\":\"clock\""));
}

#[tokio::test]
async fn another_subprotocol_is_not_ours() {
    let server = server().await;
    let (tls, clock) = (trusting(&server.url), ClockOffset::new());
    let dial = dial(Dial { subprotocol: "inkwire.app.v1", ..to(&server.url, &tls, &clock) });
    let error = dial.await.unwrap_err();
    assert!(matches!(&error, DialError::NotABroker(text) if text.contains("inkwire.agent.v1")), "{error}");
}

#[tokio::test]
async fn every_stage_has_its_deadline() {
    // Takes the connection, says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = BrokerUrl::new("127.0.0.1", port, Some(Sha256Digest::of(b""))).unwrap();
    let (tls, clock) = (trusting(&url), ClockOffset::new());
    let deadline = Duration::from_millis(200);
    let error = dial(Dial { deadline, ..to(&url, &tls, &clock) }).await.unwrap_err();
    assert!(matches!(error, DialError::TimedOut { stage: Stage::Tls, .. }), "{error}");

    drop(silent);
    let error = dial(to(&url, &tls, &clock)).await.unwrap_err();
    assert!(matches!(&error, DialError::Connect { timed_out: false, tried } if tried.len() == 1), "{error}");
    assert_eq!(error.retry(), AfterClose::Reconnect);
    let bind = Some("::1".parse().unwrap());
    let error = dial(Dial { bind, ..to(&url, &tls, &clock) }).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn a_dial_can_be_bound_to_an_address() {
    let server = server().await;
    let (tls, clock) = (trusting(&server.url), ClockOffset::new());
    let bind = Some("127.0.0.7".parse().unwrap());
    let dialled = dial(Dial { bind, ..to(&server.url, &tls, &clock) }).await.unwrap();
    assert_eq!(Some(dialled.local.ip()), bind);
}
