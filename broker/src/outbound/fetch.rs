//! Fetching a document: redirects followed one by one, size and time bounded.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connect::{Wire, within};
use super::{Outbound, OutboundError, Target};
use crate::limits::{FETCH_PAUSE, FETCH_WITHIN, MAX_REDIRECTS, OUTBOUND_ANSWER_WITHIN};

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Fetched {
    target: Target,
    /// What the answer says of its size.
    pub(crate) bytes: Option<u64>,
    body: Incoming,
    /// How much has come, and how much may.
    read: u64,
    max_bytes: u64,
    until: Instant,
    /// The body lives as long as its connection.
    _wire: Wire,
}

impl Outbound {
    /// Fetches `url`: its answer is 200 and not larger than `max_bytes`, as far as it says so itself.
    pub(crate) async fn fetch(&self, url: &str, max_bytes: u64) -> Result<Fetched, OutboundError> {
        let until = Instant::now() + FETCH_WITHIN;
        let mut target = self.check(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut wire = self.connect(&target).await?;
            let answer = within(&target, OUTBOUND_ANSWER_WITHIN, wire.send(&target, get())).await?;
            let (head, body) = answer.into_parts();
            if is_redirect(head.status) {
                let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
                let origin = target.origin();
                let nowhere = OutboundError::Status { origin, status: head.status.as_u16() };
                target = target.redirected(location.ok_or(nowhere)?, &self.rules.ports)?;
                continue;
            }
            if head.status != StatusCode::OK {
                return Err(OutboundError::Status { origin: target.origin(), status: head.status.as_u16() });
            }
            let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            let bytes = length.and_then(|text| text.parse().ok());
            if bytes.is_some_and(|bytes: u64| bytes > max_bytes) {
                return Err(OutboundError::TooLarge(max_bytes));
            }
            return Ok(Fetched { target, bytes, body, read: 0, max_bytes, until, _wire: wire });
        }
        Err(OutboundError::Redirects(target.origin()))
    }
}

fn get() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    let agent = concat!("inkwire/", env!("CARGO_PKG_VERSION"));
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    request
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

impl Fetched {
    /// The next part of the body; none at its end. A pause in it and its whole time are bounded.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let (time, stated) =
                if left < FETCH_PAUSE { (left, FETCH_WITHIN) } else { (FETCH_PAUSE, FETCH_PAUSE) };
            let frame = tokio::time::timeout(time, self.body.frame()).await.map_err(|_| {
                OutboundError::TimedOut { origin: self.target.origin(), seconds: stated.as_secs() }
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let broken = |source| OutboundError::Http { origin: self.target.origin(), source };
            // Trailers are nothing to us.
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            self.read += data.len() as u64;
            if self.read > self.max_bytes {
                return Err(OutboundError::TooLarge(self.max_bytes));
            }
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::{OutboundRules, Resolve};
    use super::*;

    /// Answers each question with the next of its answers.
    struct Names(Mutex<VecDeque<Vec<SocketAddr>>>);

    #[async_trait]
    impl Resolve for Names {
        async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(self.0.lock().unwrap().pop_front().expect("it was asked too often"))
        }
    }

    fn outbound(allow: &[&str], answers: Vec<Vec<SocketAddr>>) -> Outbound {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        let rules = OutboundRules { allow, ..OutboundRules::default() };
        Outbound::new(rules, Arc::new(Names(Mutex::new(answers.into()))))
    }

    /// Serves each connection with the next of these answers, and says what was asked.
    async fn server(answers: Vec<String>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                log.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        });
        (address, asked)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    fn to(location: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
    }

    async fn whole(mut fetched: Fetched) -> Result<Vec<u8>, OutboundError> {
        let mut body = Vec::new();
        while let Some(part) = fetched.next().await? {
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    #[tokio::test]
    async fn a_document_is_fetched_by_its_name_through_redirects() {
        let (address, asked) = server(vec![to("/b?c=1"), ok("label")]).await;
        let outbound = outbound(&["127.0.0.0/8"], vec![vec![address], vec![address]]);
        let url = format!("http://shop.example:{}/a", address.port());
        let fetched = outbound.fetch(&url, 100).await.unwrap();
        assert_eq!(fetched.bytes, Some(5));
        assert_eq!(whole(fetched).await.unwrap(), b"label");
        let asked = asked.lock().unwrap();
        assert!(asked[0].starts_with("GET /a HTTP/1.1") && asked[1].starts_with("GET /b?c=1 "), "{asked:?}");
        assert!(asked[1].contains(&format!("host: shop.example:{}", address.port())), "{asked:?}");
    }

    #[tokio::test]
    async fn nothing_that_is_not_public_is_reached() {
        let (address, asked) = server(vec![ok("secret")]).await;
        let public: SocketAddr = "93.184.215.14:80".parse().unwrap();
        for answer in [vec![address], vec![public, address]] {
            let error = outbound(&[], vec![answer]).fetch("http://shop.example/", 100).await.unwrap_err();
            assert!(matches!(error, OutboundError::Forbidden { .. }) && !error.may_pass(), "{error}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://2130706433/",
            "http://[::ffff:169.254.169.254]/",
            "http://localhost./",
        ] {
            let none = outbound(&[], vec![vec!["127.0.0.1:80".parse().unwrap()]]);
            let error = none.fetch(url, 100).await.unwrap_err();
            assert!(matches!(error, OutboundError::Forbidden { .. }), "{url}: {error}");
        }
        assert!(asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_name_that_answers_differently_the_second_time_gains_nothing() {
        let (address, _) = server(vec![ok("label")]).await;
        // One question, one answer, and the connection goes there: a second question would find nothing.
        let once = outbound(&["127.0.0.0/8"], vec![vec![address]]);
        assert_eq!(whole(once.fetch("http://shop.example/", 100).await.unwrap()).await.unwrap(), b"label");
        // A redirect asks anew, and is judged anew.
        let (address, _) = server(vec![to("http://shop.example/again")]).await;
        let inside = vec!["10.0.0.1:80".parse().unwrap()];
        let rebound = outbound(&["127.0.0.0/8"], vec![vec![address], inside]);
        let error = rebound.fetch("http://shop.example/", 100).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{error}");
    }

    #[tokio::test]
    async fn redirects_are_judged_and_counted() {
        let (address, _) = server(vec![to("http://127.0.0.9:1/")]).await;
        let only = outbound(&["127.0.0.1/32"], vec![vec![address]]);
        let error = only.fetch("http://shop.example/", 100).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{error}");
        let (address, asked) = server(vec![to("/"); 9]).await;
        let round = outbound(&["127.0.0.0/8"], vec![vec![address]; 9]);
        let error = round.fetch("http://shop.example/", 100).await.unwrap_err();
        assert!(matches!(error, OutboundError::Redirects(_)), "{error}");
        assert_eq!(asked.lock().unwrap().len(), MAX_REDIRECTS + 1);
    }

    #[tokio::test]
    async fn what_is_too_large_is_given_up() {
        let fetch = async |answer: String| {
            let (address, _) = server(vec![answer]).await;
            let outbound = outbound(&["127.0.0.0/8"], vec![vec![address]]);
            match outbound.fetch("http://shop.example/", 1000).await {
                Ok(fetched) => whole(fetched).await.unwrap_err(),
                Err(error) => error,
            }
        };
        let stated = fetch(ok(&"x".repeat(1001))).await;
        assert!(matches!(stated, OutboundError::TooLarge(1000)), "{stated}");
        let unstated = fetch(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000))).await;
        assert!(matches!(unstated, OutboundError::TooLarge(1000)), "{unstated}");
        let headers = fetch(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000))).await;
        assert!(matches!(headers, OutboundError::Http { .. }), "{headers}");
        let status = fetch("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()).await;
        assert!(
            matches!(status, OutboundError::Status { status: 404, .. }) && !status.may_pass(),
            "{status}"
        );
        let busy = fetch("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".into()).await;
        assert!(busy.may_pass(), "{busy}");
        let cut = fetch("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".into()).await;
        assert!(matches!(cut, OutboundError::Http { .. }) && cut.may_pass(), "{cut}");
    }

    #[tokio::test]
    async fn who_drips_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(asked > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await.unwrap();
            std::future::pending::<()>().await;
        });
        let outbound = outbound(&["127.0.0.0/8"], vec![vec![address]]);
        let mut fetched = outbound.fetch("http://shop.example/", 1000).await.unwrap();
        assert_eq!(fetched.next().await.unwrap().unwrap(), "abc");
        // Its time as a whole is over, however often something comes.
        fetched.until = Instant::now() + std::time::Duration::from_millis(20);
        let error = fetched.next().await.unwrap_err();
        assert!(matches!(error, OutboundError::TimedOut { .. }), "{error}");
    }
}
