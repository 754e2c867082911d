//! Documents by HTTP: in as they are, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use inkwire_protocol::ids::Sha256Digest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::device::Device;
use crate::lab::Lab;

/// An answer whose body need not be text.
struct Raw {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Raw {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn document(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

async fn send<B>(lab: &Lab, request: Request<B>) -> Raw
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut sender = lab.http::<B>().await;
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Raw { status: head.status.as_u16(), headers: head.headers, body }
}

fn post(lab: &Lab, key: &str, query: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let request = Request::post(format!("/v1/jobs?{query}")).header("host", lab.url.authority());
    let request = request.header("authorization", format!("Bearer {key}"));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn submit(lab: &Lab, key: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Raw {
    let body = Full::new(Bytes::copy_from_slice(body));
    send(lab, post(lab, key, query, headers).body(body).unwrap()).await
}

async fn get(lab: &Lab, key: &str, path: &str, headers: &[(&str, &str)]) -> Raw {
    let request = Request::get(path).header("host", lab.url.authority());
    let request = request.header("authorization", format!("Bearer {key}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(lab, request.body(Full::new(Bytes::new())).unwrap()).await
}

/// A broker with a printer whose agent is away, and a key.
async fn lab() -> (Lab, String) {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (link, _) = device.connect(&lab).await;
    drop(link);
    let key = lab.key("submit").await;
    (lab, key)
}

const PDF: (&str, &str) = ("content-type", "application/pdf");

#[tokio::test]
async fn a_document_goes_in_as_it_is_and_comes_back_whole_and_in_parts() {
    let (lab, key) = lab().await;
    for bytes in [0, 5, 65_536, 65_537, 3_000_000] {
        let content = document(bytes);
        let digest = STANDARD.encode(Sha256Digest::of(&content).as_bytes());
        let stated = format!("sha-256=:{digest}:");
        let headers = [PDF, ("content-digest", stated.as_str())];
        let made =
            submit(&lab, &key, "printer=office&title=Invoice%207.pdf&tags=a,b&hold=true", &headers, &content)
                .await;
        assert_eq!(made.status, 201, "{}", made.json());
        let job = made.json()["job"].clone();
        assert_eq!(
            (&job["state"], &job["bytes"], &job["title"]),
            (&json!("held"), &json!(bytes), &json!("Invoice 7.pdf"))
        );
        assert_eq!((&job["format"], &job["tags"]), (&json!("application/pdf"), &json!(["a", "b"])));
        let location = made.header("location").to_owned();
        assert_eq!(location, format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
        let path = format!("{location}/document");
        let whole = get(&lab, &key, &path, &[]).await;
        assert_eq!((whole.status, whole.body == content), (200, true), "{bytes}");
        assert_eq!(whole.header("content-type"), "application/pdf");
        assert_eq!(whole.header("repr-digest"), stated);
        assert!(whole.header("content-disposition").starts_with("attachment;"));
        assert!(whole.header("content-disposition").contains("Invoice%207.pdf"));
        assert_eq!(
            (whole.header("x-content-type-options"), whole.header("cache-control")),
            ("nosniff", "no-store")
        );
        let etag = whole.header("etag").to_owned();
        assert_eq!(etag, format!("\"{}\"", Sha256Digest::of(&content)));
        let same = get(&lab, &key, &path, &[("if-none-match", &etag)]).await;
        assert_eq!((same.status, same.body.len()), (304, 0));
        if bytes < 5 {
            assert_eq!(get(&lab, &key, &path, &[("range", "bytes=0-")]).await.status, 416);
            continue;
        }
        let part = get(&lab, &key, &path, &[("range", "bytes=2-4"), ("if-range", &etag)]).await;
        assert_eq!((part.status, part.body.as_slice()), (206, &content[2..5]));
        assert_eq!(part.header("content-range"), format!("bytes 2-4/{bytes}"));
        let tail = get(&lab, &key, &path, &[("range", "bytes=-3")]).await;
        assert_eq!((tail.status, tail.body.as_slice()), (206, &content[bytes - 3..]));
        let other = get(&lab, &key, &path, &[("range", "bytes=2-4"), ("if-range", "\"x\"")]).await;
        assert_eq!((other.status, other.body.len()), (200, bytes));
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_and_leaves_nothing() {
    let (lab, key) = lab().await;
    let content = document(200_000);
    let other = STANDARD.encode(Sha256Digest::of(b"other").as_bytes());
    let other = format!("sha-256=:{other}:");
    for (query, headers, status, kind) in [
        ("printer=office", vec![PDF, ("content-digest", &*other)], 422, "digest-mismatch"),
        ("printer=nowhere", vec![PDF], 404, "not-found"),
        ("printer=office", vec![("content-type", "image/urf")], 415, "unsupported-format"),
        ("printer=office", vec![], 400, "invalid-params"),
        ("printer=office&qty=0", vec![PDF], 400, "invalid-params"),
        ("printer=office&colour=1", vec![PDF], 400, "invalid-params"),
        ("", vec![PDF], 400, "invalid-params"),
    ] {
        let refused = submit(&lab, &key, query, &headers, &content).await;
        assert_eq!(refused.status, status, "{query}: {}", refused.json());
        assert_eq!(refused.json()["type"], format!("urn:inkwire:problem:{kind}"));
    }
    let reader = lab.key("read").await;
    assert_eq!(submit(&lab, &reader, "printer=office", &[PDF], &content).await.status, 403);
    assert_eq!(submit(&lab, "ik_x", "printer=office", &[PDF], &content).await.status, 401);
    assert_eq!(lab.get("/v1/jobs", &key).await.json()["jobs"], json!([]));
    assert_eq!(stored(&lab), 0, "no file is left");
    let unknown = "/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057/document";
    assert_eq!(get(&lab, &key, unknown, &[]).await.status, 404);
    assert_eq!(get(&lab, &key, "/v1/jobs/x/document", &[]).await.status, 400);
}

/// Files of documents in the broker's folder.
fn stored(lab: &Lab) -> usize {
    let folder = lab.folder.path().join("data/documents");
    let accounts = std::fs::read_dir(folder).unwrap();
    accounts.map(|account| std::fs::read_dir(account.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn the_digest_decides_whether_a_repeated_body_is_the_same_one() {
    let (lab, key) = lab().await;
    for bytes in [10, 100_000] {
        let name = format!("order-{bytes}");
        let headers = [PDF, ("idempotency-key", name.as_str())];
        let first = submit(&lab, &key, "printer=office&hold=true", &headers, &document(bytes)).await;
        let before = stored(&lab);
        let again = submit(&lab, &key, "printer=office&hold=true", &headers, &document(bytes)).await;
        assert_eq!((first.status, again.status), (201, 200));
        assert_eq!(
            (&again.json()["duplicate"], &again.json()["job"]["id"]),
            (&json!(true), &first.json()["job"]["id"])
        );
        let other = submit(&lab, &key, "printer=office&hold=true", &headers, &document(bytes + 1)).await;
        assert_eq!(
            (other.status, other.json()["type"].as_str()),
            (409, Some("urn:inkwire:problem:idempotency-conflict"))
        );
        assert_eq!(stored(&lab), before, "what was not taken leaves no file");
    }
    // The same thing described in JSON is the same request.
    let described = json!({"printer": "office", "format": "application/pdf", "hold": true, "idempotency_key": "order-10",
        "content": {"inline": STANDARD.encode(document(10))}});
    let same = lab.rest(Method::POST, "/v1/jobs", Some(&key), described).await;
    assert_eq!((same.status.as_u16(), &same.json()["duplicate"]), (200, &json!(true)), "{}", same.text);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_taken_up_to_the_limit() {
    let lab = Lab::start_with(|raw| {
        raw.limits.max_document_bytes = Some(1_000_000);
    })
    .await;
    let mut device = Device::enrolled(&lab).await;
    drop(device.connect(&lab).await);
    let key = lab.key("submit").await;
    for (chunks, status) in [(10, 201), (11, 413)] {
        let parts = stream::iter(0..chunks)
            .map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(document(100_000)))));
        let request =
            post(&lab, &key, "printer=office&hold=true", &[PDF]).body(StreamBody::new(parts)).unwrap();
        let mut sender = lab.http().await;
        // Refused in the middle: the answer comes, or the connection is closed before it is read.
        match sender.send_request(request).await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), status),
            Err(error) => assert_eq!(status, 413, "{error}"),
        }
    }
    assert_eq!(lab.get("/v1/jobs", &key).await.json()["jobs"].as_array().unwrap().len(), 1);
    let announced = submit(&lab, &key, "printer=office", &[PDF], &document(1_000_001)).await;
    assert_eq!(announced.status, 413);
}

#[tokio::test]
async fn a_cut_connection_leaves_neither_job_nor_file() {
    let (lab, key) = lab().await;
    let head = format!(
        "POST /v1/jobs?printer=office HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/pdf\r\ncontent-length: 1000000\r\n\r\n",
        lab.url.authority()
    );
    let mut tls = lab.tls().await;
    tls.write_all(head.as_bytes()).await.unwrap();
    tls.write_all(&document(700_000)).await.unwrap();
    tls.flush().await.unwrap();
    let looking = async {
        while stored(&lab) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tls.shutdown().await.unwrap();
        drop(tls);
        while stored(&lab) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::lab::LONG, looking).await.unwrap();
    assert_eq!(lab.get("/v1/jobs", &key).await.json()["jobs"], json!([]));
}

#[tokio::test]
async fn who_is_not_allowed_is_told_before_the_document_is_read() {
    let (lab, key) = lab().await;
    let head = format!(
        "POST /v1/jobs?printer=nowhere HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/pdf\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n",
        lab.url.authority()
    );
    let mut tls = lab.tls().await;
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(crate::lab::LONG, tls.read(&mut answer)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(text.starts_with("HTTP/1.1 404"), "{text}");
}
