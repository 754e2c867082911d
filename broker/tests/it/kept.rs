//! Stores that older brokers wrote, kept as files: each opens, is migrated, and works.

use std::path::Path;
use std::sync::Arc;

use http::Method;
use inkwire_broker::check;
use serde_json::{Value, json};

use crate::lab::Lab;

/// Made by a broker whose store was of version 1, with one agent, one printer, two jobs, a key and a webhook.
const STORE_1: &[u8] = include_bytes!("../kept/store-1.sqlite3");
/// The key in it.
const KEY: &str = "ik_aHlT1MOOnZMIZNH8MyjjCDVLszktLfMJQgpaqtjt8pU";
/// Nothing of it is ever too old to be kept.
const FOR_GOOD: u64 = 100 * 365 * 24 * 3600;

fn version(store: &Path) -> u32 {
    let db = rusqlite::Connection::open(store).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_store_of_version_1_is_migrated_and_works() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = data.join("store.sqlite3");
    std::fs::write(&store, STORE_1).unwrap();
    let report = check(&data, false).unwrap();
    assert!(report.is_whole() && report.findings.iter().any(|it| it.what == "store-older"), "{report:?}");
    assert_eq!(version(&store), 1, "a look changes nothing");

    let lab = Lab::start_in(folder.clone(), |raw| {
        raw.retention.documents_s = Some(FOR_GOOD);
        raw.retention.jobs_s = Some(FOR_GOOD);
        raw.outbound.allow = vec!["127.0.0.0/8".into()];
    })
    .await;
    assert_eq!(version(&store), 2);
    let jobs = lab.get("/v1/jobs", KEY).await.json()["jobs"].clone();
    let states: Vec<&Value> = jobs.as_array().unwrap().iter().map(|job| &job["state"]).collect();
    assert_eq!(states, [&json!("pending"), &json!("completed")]);
    let path = format!("/v1/jobs/{}/document", jobs[1]["id"].as_str().unwrap());
    assert_eq!(lab.get(&path, KEY).await.text, "^XA^FO50,50^FDkept^FS^XZ");
    let events = lab.get("/v1/events", KEY).await.json();
    assert!(events["events"].as_array().unwrap().len() >= 11, "{events}");

    // What is new since then works on what is old.
    let hooks = lab.get("/v1/webhooks", KEY).await.json();
    assert_eq!((&hooks["webhooks"][0]["name"], &hooks["webhooks"][0]["tag"]), (&json!("till"), &Value::Null));
    let hook = json!({"name": "tagged", "url": "http://127.0.0.1:9/", "kinds": ["job."], "tag": "shop"});
    let made = lab.rest(Method::POST, "/v1/webhooks", Some(KEY), hook).await;
    assert_eq!(
        (made.status.as_u16(), &made.json()["webhook"]["tag"]),
        (200, &json!("shop")),
        "{}",
        made.text
    );
    let label = json!({"printer": jobs[0]["printer"], "format": "text/plain", "content": {"inline": "eA=="}});
    let made = lab.rest(Method::POST, "/v1/jobs", Some(KEY), label).await;
    assert_eq!((made.status.as_u16(), &made.json()["job"]["number"]), (201, &json!(3)), "{}", made.text);

    let (_folder, stopped) = lab.stop().await;
    stopped.unwrap();
    let report = check(&data, false).unwrap();
    assert!(report.is_whole() && report.findings.is_empty(), "{report:?}");
}
