//! What strangers and greedy account holders try on authentication and limits.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::{LONG, Lab};

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

    hard_quotas(&lab, &key, &printer).await;

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

/// Many at once do not get more than one after the other would, whichever way they come.
async fn hard_quotas(lab: &Lab, key: &str, printer: &Value) {
    let limits = json!({"jobs_per_day": 5, "users": 3, "keys": 4});
    assert_eq!(lab.rest(Method::PATCH, "/v1/limits", Some(key), limits).await.status, 200);
    let submit = async |n: usize| {
        let body = json!({
            "printer": printer, "format": "application/pdf", "content": {"inline": "aGVsbG8h"},
            "idempotency_key": format!("job {n}"),
        });
        lab.rest(Method::POST, "/v1/jobs", Some(key), body).await.status.as_u16()
    };
    let made: Vec<u16> = futures_util::future::join_all((0..12).map(submit)).await;
    let count = |status| made.iter().filter(|made| **made == status).count();
    // Two were made before.
    assert_eq!((count(201), count(403)), (3, 9), "{made:?}");
    let accepted = made.iter().position(|status| *status == 201).unwrap();
    assert_eq!(submit(accepted).await, 200, "what was accepted is answered again, whatever the quota says");

    // There is the first owner.
    let user = async |n: usize| {
        let body = json!({"name": format!("user {n}"), "role": "viewer"});
        if n.is_multiple_of(2) {
            lab.rest(Method::POST, "/v1/users", Some(key), body).await.status.as_u16()
        } else {
            let made = lab.try_admin("user.create", body).await;
            made.map_or_else(|problem| problem["status"].as_u64().unwrap() as u16, |_| 200)
        }
    };
    let made: Vec<u16> = futures_util::future::join_all((0..8).map(user)).await;
    assert_eq!(made.iter().filter(|status| **status == 200).count(), 2, "{made:?}");
    assert_eq!(made.iter().filter(|status| **status == 403).count(), 6, "{made:?}");
    // And this key. One that has expired or was revoked does not count.
    let make = async |n: usize| {
        let body = json!({"name": format!("key {n}"), "scope": "read"});
        if n.is_multiple_of(2) {
            lab.rest(Method::POST, "/v1/keys", Some(key), body).await.json()["key"]["id"].clone()
        } else {
            lab.try_admin("key.create", body).await.map_or(Value::Null, |made| made["id"].clone())
        }
    };
    let made: Vec<Value> = futures_util::future::join_all((0..8).map(make)).await;
    let made: Vec<&str> = made.iter().filter_map(Value::as_str).collect();
    assert_eq!(made.len(), 3, "{made:?}");
    let path = format!("/v1/keys/{}", made[0]);
    assert_eq!(lab.rest(Method::DELETE, &path, Some(key), Value::Null).await.status, 200);
    assert!(make(8).await.is_string());
    assert_eq!(lab.get("/v1/limits", key).await.json()["usage"]["keys"], 4);
    let unlimited = json!({"jobs_per_day": null, "users": null, "keys": null});
    assert_eq!(lab.rest(Method::PATCH, "/v1/limits", Some(key), unlimited).await.status, 200);
}
