//! What is bounded, met from outside.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::{ToAgent, ToBroker};
use serde_json::{Value, json};

use crate::app::App;
use crate::device::{Device, printer};
use crate::lab::{LONG, Lab};

#[tokio::test]
async fn who_does_not_say_hello_is_sent_away() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let mut agent = device.dial(&lab).await.unwrap();
    let mut app = App::anonymous(&lab).await;
    let (agent, app) = tokio::join!(agent.closed(), app.closed());
    assert_eq!((agent.code(), app.code()), (CloseCode::HelloTimeout, CloseCode::HelloTimeout));
    let counters = &lab.admin("status", json!({})).await["counters"];
    assert_eq!(counters["hello-timeout"], 2, "{counters}");
}

#[tokio::test]
async fn an_app_that_does_not_read_is_closed_and_others_are_served() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    device.printers = (0..64).map(|n| printer(n, &format!("{n}{}", "x".repeat(250)))).collect();
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let key = lab.key("read").await;
    let mut slow = App::connect(&lab, &key).await;
    let mut other = App::connect(&lab, &key).await;
    let page = other.call("printers.list", json!({})).await.unwrap().to_string().len();
    assert!(page > 40_000);
    let flood = async {
        for id in 0.. {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "printers.list", "params": {}});
            slow.raw(&request.to_string());
            if slow.socket.flush().await.is_err() {
                return;
            }
            if id % 64 == 0 {
                other.call("me", json!({})).await.unwrap();
                let counters = &lab.admin("status", json!({})).await["counters"];
                if counters["slow"] == 1 {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(LONG, flood).await.unwrap();
    assert_eq!(slow.closed().await.code(), CloseCode::Slow);
    other.call("me", json!({})).await.unwrap();
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_gets_its_places_back() {
    let lab = Lab::start_with(|raw| raw.limits.max_connections_per_address = Some(2)).await;
    let one = App::anonymous(&lab).await;
    let _two = App::anonymous(&lab).await;
    let headers = http::HeaderMap::new;
    let (path, protocol) = (inkwire_protocol::message::APP_PATH, inkwire_protocol::message::APP_SUBPROTOCOL);
    assert!(lab.dial(path, protocol, headers()).await.is_err());
    let counters = &lab.admin("status", json!({})).await["counters"];
    assert_eq!(counters["address-full"], 1, "{counters}");
    drop(one);
    let back = async { while lab.dial(path, protocol, headers()).await.is_err() {} };
    tokio::time::timeout(LONG, back).await.unwrap();
}

async fn event(app: &mut App, kind: &str) -> Value {
    let looking = async {
        loop {
            let note = app.note("events").await;
            let found =
                note["events"].as_array().unwrap().iter().find(|event| event["kind"] == kind).cloned();
            if let Some(event) = found {
                return event;
            }
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap()
}

#[tokio::test]
async fn an_agent_that_owes_an_answer_and_says_nothing_is_shown_as_silent_until_it_is_heard() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let mut app = App::connect(&lab, &lab.key("submit").await).await;
    app.call("events.subscribe", json!({"kinds": ["agent."]})).await.unwrap();
    let label = json!({"printer": "labels", "format": "text/plain", "content": {"inline": "eA=="}});
    let created = app.call("jobs.create", label).await.unwrap();
    let job = json!({"job": created["job"]["id"]});
    // Nobody looks at the agent's socket: no ack, no answer to a ping.
    assert_eq!(event(&mut app, "agent.silent").await["agent"], json!(device.id));
    let shown = app.call("jobs.get", job.clone()).await.unwrap();
    assert_eq!(shown["job"]["reason"]["code"], "agent-silent", "{shown}");
    link.say(&ToBroker::Report(inkwire_protocol::message::Report {
        seq: 1,
        local_endpoint: None,
        rtt_ms: None,
        printers: None,
    }));
    while !matches!(link.receive().await, ToAgent::ReportOk(_)) {}
    event(&mut app, "agent.heard").await;
    assert!(app.call("jobs.get", job).await.unwrap()["job"]["reason"].is_null());
}
