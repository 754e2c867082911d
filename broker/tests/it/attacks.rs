//! What strangers and greedy account holders try on authentication and limits.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::{LONG, Lab};

#[tokio::test]
async fn ten_thousand_requests_from_one_key_are_answered_busy_and_disturb_nobody() {
    let lab = Lab::start_with(|raw| {
        raw.limits.requests_per_s = Some(1);
        raw.limits.request_burst = Some(200);
    })
    .await;
    let (greedy, other) = (lab.key("read").await, lab.key("read").await);
    let mut greedy_app = App::connect(&lab, &greedy).await;
    let mut other_app = App::connect(&lab, &other).await;
    let flood = async {
        let (mut good, mut busy) = (0, 0);
        for batch in 0..100 {
            for n in 0..100 {
                let request = json!({"jsonrpc": "2.0", "id": batch * 100 + n, "method": "me"});
                greedy_app.raw(&request.to_string());
            }
            for _ in 0..100 {
                let answer = greedy_app.message().await.unwrap();
                match answer["error"]["data"]["status"].as_u64() {
                    None => good += 1,
                    Some(429) => {
                        assert!(answer["error"]["data"]["retry_after_s"].as_u64().unwrap() >= 1);
                        busy += 1;
                    }
                    Some(_) => panic!("{answer}"),
                }
            }
        }
        (good, busy)
    };
    let since = Instant::now();
    let bystander = async {
        let mut worst = Duration::ZERO;
        for _ in 0..50 {
            let since = Instant::now();
            other_app.call("agents.list", json!({})).await.unwrap();
            worst = worst.max(since.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        worst
    };
    let ((good, busy), worst) =
        tokio::time::timeout(LONG, async { tokio::join!(flood, bystander) }).await.unwrap();
    let most = 200 + since.elapsed().as_secs() + 1;
    assert_eq!(good + busy, 10_000);
    assert!((200..=most).contains(&good), "{good} of 10000 in {:?}", since.elapsed());
    println!("{good} answered, {busy} busy in {:?}; a bystander waited {worst:?} at most", since.elapsed());
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    // REST takes from the same bucket, which has at most what came into it since, and says when to come back.
    let mut answer = lab.get("/v1/me", &greedy).await;
    for _ in 0..20 {
        if answer.status == 429 {
            break;
        }
        answer = lab.get("/v1/me", &greedy).await;
    }
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(lab.get("/v1/me", &other).await.status, 200);
}

#[tokio::test]
async fn passwords_are_not_guessed() {
    let lab = Lab::start().await;
    lab.admin("user.create", json!({"name": "ann", "role": "owner", "password": "correct horse battery"}))
        .await;
    let sign_in = async |user: &str| {
        let since = Instant::now();
        let body = json!({"user": user, "password": "wrong wrong wrong"});
        (lab.ask(Method::POST, "/v1/session", &[], body).await, since.elapsed())
    };
    let (known, unknown) = (sign_in("ann").await, sign_in("nobody").await);
    assert_eq!((known.0.status.as_u16(), &known.0.text), (401, &unknown.0.text));
    println!("a known person took {:?}, an unknown one {:?}", known.1, unknown.1);
    let mut tries = 2;
    while sign_in("ann").await.0.status == 401 {
        tries += 1;
        assert!(tries <= 20, "nothing stops the guessing");
    }
    // The address is out of tries, whomever it names, and with the right password, too.
    let right = json!({"user": "ann", "password": "correct horse battery"});
    let answer = lab.ask(Method::POST, "/v1/session", &[], right).await;
    assert_eq!(answer.status, 429);
    assert!(answer.json()["retry_after_s"].as_u64().unwrap() >= 1);
    let page = [("origin", "https://evil.example")];
    assert_eq!(lab.ask(Method::POST, "/v1/session", &page, json!({"link": "is_x"})).await.status, 403);
}

#[tokio::test]
async fn an_account_has_its_quotas() {
    let lab = Lab::start_with(|raw| raw.limits.connections_per_account = Some(3)).await;
    let key = lab.key("admin").await;
    let mut device = Device::enrolled(&lab).await;
    let _link = device.connect(&lab).await;
    let printer = lab.get("/v1/printers", &key).await.json()["printers"][0]["id"].clone();
    let submit = async || {
        let body = json!({
            "printer": printer, "title": "t", "format": "application/pdf", "content": {"inline": "aGVsbG8h"},
        });
        lab.rest(Method::POST, "/v1/jobs", Some(&key), body).await
    };
    let set = async |body| lab.rest(Method::PATCH, "/v1/limits", Some(&key), body).await;
    assert_eq!(submit().await.status, 201);
    assert_eq!(set(json!({"connections": 4})).await.status, 400, "more than the broker allows");
    let limits = set(json!({"stored_bytes": 11, "keys": 1})).await.json();
    assert_eq!((&limits["usage"]["stored_bytes"], &limits["usage"]["jobs_today"]), (&json!(6), &json!(1)));
    let full = submit().await;
    assert_eq!(
        (full.status.as_u16(), full.json()["type"].as_str().unwrap()),
        (403, "urn:inkwire:problem:quota-exceeded")
    );
    let more = json!({"name": "k", "scope": "read"});
    assert_eq!(lab.rest(Method::POST, "/v1/keys", Some(&key), more).await.status, 403);
    set(json!({"stored_bytes": null, "jobs_per_day": 1})).await;
    assert!(submit().await.json()["retry_after_s"].as_u64().unwrap() > 0);
    set(json!({"jobs_per_day": null})).await;
    assert_eq!(submit().await.status, 201);

    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(App::connect(&lab, &key).await);
    }
    let mut one_too_many = App::anonymous(&lab).await;
    let refused = one_too_many.call("authenticate", json!({ "token": key })).await.unwrap_err();
    assert_eq!(refused["status"], 403);
    drop(apps);
    let deadline = Instant::now() + LONG;
    loop {
        let usage = lab.get("/v1/limits", &key).await.json()["usage"]["connections"].clone();
        if usage == json!(0) {
            break;
        }
        assert!(Instant::now() < deadline, "{usage} connections are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    App::connect(&lab, &key).await.call("me", Value::Null).await.unwrap();
}
