//! Webhooks: signed, in order, at least once, and nobody's trouble but their own.

use http::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::device::Device;
use crate::hook::{Hook, Received, Say};
use crate::lab::{Answer, LONG, Lab};

async fn lab() -> Lab {
    Lab::start_with(|raw| raw.outbound.allow = vec!["127.0.0.0/8".into()]).await
}

/// Two events: `agent.paired` and `agent.revoked`.
async fn stir(lab: &Lab) {
    let device = Device::enrolled(lab).await;
    lab.admin("agent.revoke", json!({"agent": device.id})).await;
}

async fn created(lab: &Lab, key: &str, url: &str, kinds: &[&str]) -> (String, String) {
    let body = json!({"url": url, "name": "shop", "kinds": kinds});
    let answer = lab.rest(Method::POST, "/v1/webhooks", Some(key), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let text = |pointer: &str| answer.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/webhook/id"), text("/secret"))
}

fn verify(secret: &str, received: &Received) {
    Webhook::new(secret).unwrap().verify(&received.body, &received.headers).unwrap();
}

/// Looks at a webhook until it is as wanted.
async fn shown(lab: &Lab, key: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let webhook = lab.get(&format!("/v1/webhooks/{id}"), key).await.json();
            if wanted(&webhook) {
                return webhook;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap()
}

#[tokio::test]
async fn events_arrive_signed_in_order_and_filtered() {
    let lab = lab().await;
    let (key, hook) = (lab.key("admin").await, Hook::start().await);
    stir(&lab).await;
    let (id, secret) = created(&lab, &key, &hook.url("/all"), &[]).await;
    let (only, _) = created(&lab, &key, &hook.url("/revoked"), &["agent.revoked"]).await;
    for _ in 0..20 {
        stir(&lab).await;
    }
    let received = hook.wait_for(|all| all.len() >= 60).await;
    let all: Vec<_> = received.iter().filter(|request| request.path == "/all").collect();
    let offsets: Vec<_> =
        all.iter().map(|request| request.json()["data"]["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, (3..=42).collect::<Vec<_>>(), "what was before it was made is not sent");
    for request in &all {
        verify(&secret, request);
        let body = request.json();
        assert_eq!(
            (&body["type"], request.headers["content-type"].to_str().unwrap()),
            (&body["data"]["kind"], "application/json")
        );
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(request.id().ends_with(&format!("_{}", body["data"]["offset"])));
    }
    let some: Vec<_> = received.iter().filter(|request| request.path == "/revoked").collect();
    assert!(some.len() == 20 && some.iter().all(|request| request.json()["type"] == "agent.revoked"));
    assert!(
        Webhook::new(&secret).unwrap().verify(&some[0].body, &some[0].headers).is_err(),
        "a secret of its own"
    );

    let webhook = shown(&lab, &key, &id, |webhook| webhook["behind"] == 0).await;
    assert_eq!((&webhook["through"], &webhook["last"]["taken"]), (&json!(42), &json!(true)));
    assert!(webhook.get("secret").is_none());
    let page = lab.get(&format!("/v1/webhooks/{id}/deliveries?limit=30"), &key).await.json();
    let rest = format!("/v1/webhooks/{id}/deliveries?before={}", page["next"].as_str().unwrap());
    let rest = lab.get(&rest, &key).await.json();
    assert_eq!(
        page["deliveries"].as_array().unwrap().len() + rest["deliveries"].as_array().unwrap().len(),
        40
    );
    assert_eq!((&page["deliveries"][0]["offset"], &rest["deliveries"][9]["offset"]), (&json!(42), &json!(3)));
    assert_eq!(lab.get("/v1/webhooks", &key).await.json()["webhooks"].as_array().unwrap().len(), 2);
    let gone = lab.rest(Method::DELETE, &format!("/v1/webhooks/{only}"), Some(&key), Value::Null).await;
    assert_eq!(gone.status, 200);
    assert_eq!(lab.get(&format!("/v1/webhooks/{only}"), &key).await.status, 404);
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_name_and_holds_up_nobody_else() {
    let lab = lab().await;
    let (key, hook, other) = (lab.key("admin").await, Hook::start().await, Hook::start().await);
    let (id, secret) = created(&lab, &key, &hook.url("/"), &[]).await;
    created(&lab, &key, &other.url("/"), &[]).await;
    created(&lab, &key, "http://127.0.0.1:1/", &[]).await;
    hook.say([Say::Status(503)]);
    stir(&lab).await;
    other.wait(2).await;
    assert_eq!(hook.wait(1).await.len(), 1, "the others did not wait for it");
    let webhook = shown(&lab, &key, &id, |webhook| webhook["failures"] == 1).await;
    assert_eq!(webhook["last"]["status"], 503);
    assert_eq!(webhook["last"]["response"], "said 503");
    assert!(webhook["retry_ms"].as_u64() > webhook["last"]["at_ms"].as_u64());
    let received = hook.wait(3).await;
    assert_eq!(received[0].id(), received[1].id());
    assert_eq!(received[0].body, received[1].body);
    received.iter().for_each(|request| verify(&secret, request));
    let offsets: Vec<_> =
        received.iter().map(|request| request.json()["data"]["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [1, 1, 2]);
    let webhook = shown(&lab, &key, &id, |webhook| webhook["failures"] == 0).await;
    assert_eq!(webhook["enabled"], true);
}

#[tokio::test]
async fn who_is_gone_is_disabled_and_goes_on_where_it_was() {
    let lab = lab().await;
    let (key, hook) = (lab.key("admin").await, Hook::start().await);
    let (id, _) = created(&lab, &key, &hook.url("/"), &["agent."]).await;
    hook.say([Say::Status(410)]);
    stir(&lab).await;
    let webhook = shown(&lab, &key, &id, |webhook| webhook["enabled"] == false).await;
    assert!(webhook["disabled"]["reason"].as_str().unwrap().contains("410"), "{webhook}");
    let events = lab.get("/v1/events?kinds=webhook.", &key).await.json();
    assert_eq!(events["events"][0]["kind"], "webhook.disabled");
    assert_eq!(events["events"][0]["data"]["webhook"], json!(id));
    stir(&lab).await;
    let path = format!("/v1/webhooks/{id}");
    let answer = lab.rest(Method::PATCH, &path, Some(&key), json!({"enabled": true})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["disabled"]), (200, &Value::Null));
    let received = hook.wait(5).await;
    let offsets: Vec<_> =
        received.iter().map(|request| request.json()["data"]["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets[..2], [1, 1], "the event that was not taken comes again");
    assert!(offsets[1..].is_sorted_by(|a, b| a < b) && offsets.ends_with(&[4, 5]), "{offsets:?}");
    assert!(received.iter().all(|request| request.json()["type"].as_str().unwrap().starts_with("agent.")));
    let asked = json!({"enabled": false});
    assert_eq!(lab.rest(Method::PATCH, &path, Some(&key), asked).await.json()["enabled"], false);
    stir(&lab).await;
    let asked = json!({"enabled": true, "skip_to_now": true});
    assert_eq!(lab.rest(Method::PATCH, &path, Some(&key), asked).await.json()["behind"], 0);
    stir(&lab).await;
    let received = hook.wait(7).await;
    assert_eq!(received[5].json()["data"]["offset"], 8);
}

#[tokio::test]
async fn it_is_tested_redelivered_and_its_secret_replaced() {
    let lab = lab().await;
    let (key, hook) = (lab.key("admin").await, Hook::start().await);
    let (id, secret) = created(&lab, &key, &hook.url("/"), &[]).await;
    let post = async |what: &str, body: Value| -> Answer {
        lab.rest(Method::POST, &format!("/v1/webhooks/{id}/{what}"), Some(&key), body).await
    };
    let tested = post("test", Value::Null).await.json();
    assert_eq!(
        (&tested["taken"], &tested["cause"], &tested["status"]),
        (&json!(true), &json!("test"), &json!(204))
    );
    assert_eq!(hook.received()[0].json()["type"], "webhook.test");
    stir(&lab).await;
    hook.wait(3).await;
    shown(&lab, &key, &id, |webhook| webhook["behind"] == 0).await;
    let rotated = post("rotate_secret", Value::Null).await.json();
    let new = rotated["secret"].as_str().unwrap();
    assert!(new != secret && rotated["previous_until_ms"].is_u64());
    let page = lab.get(&format!("/v1/webhooks/{id}/deliveries"), &key).await.json();
    let first =
        page["deliveries"].as_array().unwrap().iter().find(|delivery| delivery["offset"] == 1).unwrap();
    let again = post("redeliver", json!({"delivery": first["id"]})).await.json();
    assert_eq!((&again["cause"], &again["message"]), (&json!("redelivery"), &first["message"]));
    let received = hook.received();
    assert_eq!((received[3].id(), &received[3].body), (received[1].id(), &received[1].body));
    verify(&secret, &received[3]);
    verify(new, &received[3]);
    let refused = post("redeliver", json!({"delivery": tested["id"]})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let unknown = post("redeliver", json!({"delivery": id})).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
    hook.say([Say::Status(500)]);
    let failed = post("test", Value::Null).await.json();
    assert_eq!((&failed["taken"], &failed["response"]), (&json!(false), &json!("said 500")));
    assert_eq!(shown(&lab, &key, &id, |_| true).await["failures"], 0, "a test counts for nothing");
}

#[tokio::test]
async fn only_public_addresses_are_called_unless_the_operator_allows_more() {
    let lab = Lab::start().await;
    let key = lab.key("admin").await;
    let post = async |body: Value| lab.rest(Method::POST, "/v1/webhooks", Some(&key), body).await;
    for url in [
        "http://127.0.0.1/",
        "https://[::1]/",
        "http://169.254.169.254/latest/",
        "http://0x7f.1/",
        "ftp://a/",
        "https://u:p@shop.example/",
        "x",
    ] {
        let answer = post(json!({"url": url})).await;
        assert_eq!((answer.status.as_u16(), answer.json()["pointer"].as_str()), (400, Some("/url")), "{url}");
    }
    // A name is judged when it is reached.
    let hook = Hook::start().await;
    let url = format!("http://localhost:{}/", hook.address.port());
    let (id, _) = created(&lab, &key, &url, &[]).await;
    stir(&lab).await;
    let webhook = shown(&lab, &key, &id, |webhook| webhook["failures"] == 1).await;
    assert!(webhook["last"]["error"].as_str().unwrap().contains("outbound.allow"), "{webhook}");
    assert!(hook.received().is_empty());
    let refused = post(json!({"url": "https://shop.example/", "kinds": vec!["x"; 40]})).await;
    assert_eq!(refused.json()["pointer"], "/kinds");
    for _ in 1..50 {
        created(&lab, &key, "https://shop.example/", &[]).await;
    }
    assert_eq!(post(json!({"url": "https://shop.example/"})).await.status, 403);
    let viewer = lab.key("read").await;
    assert_eq!(lab.get("/v1/webhooks", &viewer).await.status, 403);
}
