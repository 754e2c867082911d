//! Documents that the broker fetches itself.

use std::time::Duration;

use http::Method;
use inkwire_protocol::ids::Sha256Digest;
use serde_json::{Value, json};

use crate::device::Device;
use crate::hook::{Hook, Say};
use crate::lab::{LONG, Lab};

async fn lab() -> (Lab, String) {
    let lab = Lab::start_with(|raw| {
        raw.outbound.allow = vec!["127.0.0.0/8".into()];
        raw.limits.max_document_bytes = Some(1 << 20);
    });
    with_printer(lab.await).await
}

async fn with_printer(lab: Lab) -> (Lab, String) {
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let key = lab.key("submit").await;
    (lab, key)
}

fn wish(url: &str) -> Value {
    json!({"printer": "labels", "format": "text/plain", "content": {"url": {"url": url}}})
}

async fn submit(lab: &Lab, key: &str, wish: Value) -> Value {
    let answer = lab.rest(Method::POST, "/v1/jobs", Some(key), wish).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(
        (&answer["job"]["state"], &answer["job"]["reason"]["code"]),
        (&json!("incoming"), &json!("fetching"))
    );
    assert!(answer.get("upload").is_none(), "{answer}");
    answer["job"]["id"].clone()
}

/// Looks at a job until it is not incoming any more.
async fn arrived(lab: &Lab, key: &str, job: &Value) -> Value {
    let looking = async {
        loop {
            let answer = lab.get(&format!("/v1/jobs/{}", job.as_str().unwrap()), key).await.json();
            if answer["job"]["state"] != "incoming" {
                return answer["job"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap()
}

#[tokio::test]
async fn a_document_is_fetched_whole_and_its_job_goes_on() {
    let (lab, key) = lab().await;
    let hook = Hook::start().await;
    let large: Vec<u8> = (0..600_000_u32).map(|at| (at * 7 % 253) as u8).collect();
    hook.say([Say::Body(b"label"), Say::Parts(large.clone())]);
    let job = submit(&lab, &key, wish(&hook.url("/label?a=1"))).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["bytes"], &shown["sha256"]), (&json!(5), &json!(Sha256Digest::of(b"label"))));
    assert!(["pending", "sending"].contains(&shown["state"].as_str().unwrap()), "{shown}");
    assert_eq!(hook.received()[0].path, "/label?a=1");
    let mut wanted = wish(&hook.url("/large"));
    wanted["content"]["url"]["sha256"] = json!(Sha256Digest::of(&large));
    let job = submit(&lab, &key, wanted).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["bytes"], &shown["sha256"]), (&json!(600_000), &json!(Sha256Digest::of(&large))));
}

#[tokio::test]
async fn what_cannot_be_had_ends_the_job_with_the_reason() {
    let (lab, key) = lab().await;
    let hook = Hook::start().await;
    hook.say([Say::Status(404)]);
    let job = submit(&lab, &key, wish(&hook.url("/"))).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["state"], &shown["reason"]["code"]), (&json!("aborted"), &json!("http-status")));
    assert!(shown["reason"]["detail"].as_str().unwrap().contains("404"), "{shown}");
    for (say, code) in [(Say::Parts(vec![0; 1 << 21]), "too-large"), (Say::Body(b"other"), "digest-mismatch")]
    {
        hook.say([say]);
        let mut wanted = wish(&hook.url("/"));
        wanted["content"]["url"]["sha256"] = json!(Sha256Digest::of(b"label"));
        let job = submit(&lab, &key, wanted).await;
        let shown = arrived(&lab, &key, &job).await;
        assert_eq!((&shown["state"], &shown["reason"]["code"]), (&json!("aborted"), &json!(code)), "{shown}");
    }
    hook.say([Say::Status(503), Say::Body(b"label")]);
    let job = submit(&lab, &key, wish(&hook.url("/"))).await;
    assert_eq!(arrived(&lab, &key, &job).await["bytes"], 5, "a server that is busy is asked again");
}

#[tokio::test]
async fn only_public_addresses_are_fetched_from() {
    let (lab, key) = with_printer(Lab::start().await).await;
    let hook = Hook::start().await;
    for url in [hook.url("/"), "https://u:p@shop.example/".into(), "file:///etc/passwd".into()] {
        let answer = lab.rest(Method::POST, "/v1/jobs", Some(&key), wish(&url)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["pointer"].as_str()),
            (400, Some("/content/url/url")),
            "{url}"
        );
    }
    let job = submit(&lab, &key, wish(&format!("http://localhost:{}/", hook.address.port()))).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["state"], &shown["reason"]["code"]), (&json!("aborted"), &json!("address-refused")));
    assert!(hook.received().is_empty());
}

#[tokio::test]
async fn the_operators_own_authority_is_trusted_and_no_other() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let ca = folder.path().join("data/certs/ca.pem");
    let lab = Lab::start_in(folder, |raw| {
        raw.outbound.allow = vec!["127.0.0.1".into()];
        raw.outbound.ca = vec![ca];
    });
    let (lab, key) = with_printer(lab.await).await;
    let job = submit(&lab, &key, wish(&format!("https://{}/healthz", lab.address))).await;
    assert_eq!(arrived(&lab, &key, &job).await["sha256"], json!(Sha256Digest::of(b"ok\n")));
    let (stranger, _) = with_printer(Lab::start().await).await;
    let job = submit(&lab, &key, wish(&format!("https://{}/healthz", stranger.address))).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["state"], &shown["reason"]["code"]), (&json!("aborted"), &json!("tls-failed")));
}

#[tokio::test]
async fn it_is_idempotent_canceled_and_goes_on_after_a_restart() {
    let (lab, key) = lab().await;
    let hook = Hook::start().await;
    hook.say([Say::Nothing, Say::Nothing, Say::Body(b"label")]);
    let canceled = submit(&lab, &key, wish(&hook.url("/canceled"))).await;
    hook.wait(1).await;
    let path = format!("/v1/jobs/{}/cancel", canceled.as_str().unwrap());
    assert_eq!(lab.rest(Method::POST, &path, Some(&key), Value::Null).await.json()["state"], "canceled");

    let mut wanted = wish(&hook.url("/kept"));
    wanted["idempotency_key"] = json!("k");
    let job = submit(&lab, &key, wanted.clone()).await;
    let again = lab.rest(Method::POST, "/v1/jobs", Some(&key), wanted.clone()).await.json();
    assert_eq!((&again["job"]["id"], &again["duplicate"]), (&job, &json!(true)));
    wanted["content"]["url"]["url"] = json!(hook.url("/other"));
    assert_eq!(lab.rest(Method::POST, "/v1/jobs", Some(&key), wanted).await.status, 409);
    hook.wait(2).await;
    let (folder, stopped) = lab.stop().await;
    stopped.unwrap();
    let lab = Lab::start_in(folder, |raw| raw.outbound.allow = vec!["127.0.0.0/8".into()]).await;
    let shown = arrived(&lab, &key, &job).await;
    assert_eq!((&shown["bytes"], &shown["state"]), (&json!(5), &json!("pending")), "{shown}");
    assert_eq!(hook.received().iter().filter(|request| request.path == "/kept").count(), 2);
}
