//! `GET /metrics`: what docs/metrics.md promises is there, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use http::Method;
use inkwire_broker::RawMetrics;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::App;
use crate::device::Device;
use crate::lab::Lab;

async fn lab() -> Lab {
    let metrics = RawMetrics { listen: "127.0.0.1:0".into(), allow: Vec::new() };
    Lab::start_with(|raw| raw.metrics = Some(metrics)).await
}

async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn scrape(lab: &Lab) -> String {
    let (head, body) = ask(lab.metrics().unwrap(), "GET /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    body
}

/// Sample by its whole name with labels, such as `a_total{leg="upload"}`.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

/// Type and label of every family, by the name that its samples have.
fn families(text: &str) -> BTreeMap<String, (String, Option<String>)> {
    let mut found = BTreeMap::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap();
            (family, kind) = (name.to_owned(), of.to_owned());
        } else if !line.starts_with('#') {
            let suffix = match kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let label =
                line.split_once('{').and_then(|(_, rest)| rest.split_once('=')).map(|(label, _)| label);
            let label = label.filter(|label| *label != "le").map(str::to_owned);
            assert!(line.starts_with(&family), "{line} is not of {family}");
            found.insert(format!("{family}{suffix}"), (kind.clone(), label));
        }
    }
    found
}

fn documented() -> BTreeMap<String, (String, Option<String>)> {
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = include_str!("../../../docs/metrics.md")
        .lines()
        .filter(|line| line.starts_with("| `inkwire_") || line.starts_with("| `process_"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let label = Some(bare(cells[2])).filter(|label| !label.is_empty());
        (bare(cells[0]), (bare(cells[1]), label))
    })
    .collect()
}

#[tokio::test]
async fn what_is_documented_is_exposed_and_nothing_else() {
    let lab = lab().await;
    let text = scrape(&lab).await;
    assert_eq!(families(&text), documented());
    assert!(text.ends_with("# EOF\n"), "{text}");
    // Every series once.
    let series: Vec<_> =
        text.lines().filter(|l| !l.starts_with('#')).map(|l| l.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.iter().collect::<BTreeSet<_>>().len(), series.len());
}

#[tokio::test]
async fn they_follow_what_happens() {
    let lab = lab().await;
    let key = lab.key("submit").await;
    let before = scrape(&lab).await;
    assert_eq!(sample(&before, "inkwire_agents{status=\"online\"}"), 0.0);
    let mut device = Device::enrolled(&lab).await;
    let link = device.connect(&lab).await;
    let mut app = App::connect(&lab, &key).await;
    app.call("me", json!({})).await.unwrap();
    app.call("jobs.dance", json!({})).await.unwrap_err();
    let printers = app.call("printers.list", json!({})).await.unwrap();
    let printer = printers["printers"][0]["id"].clone();
    let job =
        json!({"printer": printer, "format": "text/plain", "content": {"inline": "aGVsbG8="}, "hold": true});
    app.call("jobs.create", job).await.unwrap();
    assert_eq!(lab.rest(Method::GET, "/v1/me", Some(&key), Value::Null).await.status, 200);
    let text = scrape(&lab).await;
    for (name, value) in [
        ("inkwire_agents{status=\"online\"}", 1.0),
        ("inkwire_agents{status=\"offline\"}", 0.0),
        ("inkwire_sessions_begun_total", 1.0),
        ("inkwire_endpoint_changes_total", 0.0),
        ("inkwire_app_connections", 1.0),
        ("inkwire_requests_total{method=\"me\"}", 2.0),
        ("inkwire_requests_total{method=\"unknown\"}", 1.0),
        ("inkwire_problems_total{problem=\"unknown-method\"}", 1.0),
        ("inkwire_document_bytes_total{leg=\"upload\"}", 5.0),
        ("inkwire_jobs{state=\"held\"}", 1.0),
        ("inkwire_job_transitions_total{state=\"held\"}", 1.0),
        ("inkwire_queue_capacity{queue=\"store\"}", 1024.0),
    ] {
        assert_eq!(sample(&text, name), value, "{name}");
    }
    assert!(sample(&text, "inkwire_commit_seconds_count") > sample(&before, "inkwire_commit_seconds_count"));
    assert!(sample(&text, "inkwire_documents_free_bytes") > 0.0);
    drop((app, link));
}

#[tokio::test]
async fn nothing_but_the_metrics_is_there_and_only_where_it_was_asked_for() {
    let lab = lab().await;
    let address = lab.metrics().unwrap();
    assert!(ask(address, "GET /v1/me").await.0.starts_with("HTTP/1.1 404"));
    assert!(ask(address, "POST /metrics").await.0.starts_with("HTTP/1.1 405"));
    assert_eq!(lab.rest(Method::GET, "/metrics", None, Value::Null).await.status, 404);
    assert_eq!(Lab::start().await.metrics(), None);
}
