//! Documents through the broker: in by an app, out to an agent, whole and once.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{FactSeq, JobId, PrinterNumber, Sha256Digest, TransferId};
use inkwire_protocol::message::{
    Ack, Fact, FactMessage, HeldTransfer, Hello, Open, ToAgent, ToBroker, Witness,
};
use inkwire_protocol::packet::Header;
use inkwire_transport::Ready;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::{Device, Link};
use crate::lab::{LONG, Lab};

const PACKET: usize = 1024;

fn document(packets: usize) -> Vec<u8> {
    (0..packets * PACKET - 100).map(|at| (at * 31 % 251) as u8).collect()
}

/// What an agent hears: a control message or a packet.
enum Heard {
    Control(ToAgent),
    Packet(Header, Vec<u8>),
}

async fn hear(link: &mut Link) -> Heard {
    loop {
        match tokio::time::timeout(LONG, link.0.ready(false)).await.unwrap() {
            Ready::Text(text) => return Heard::Control(serde_json::from_str(&text).unwrap()),
            Ready::Binary(message) => {
                let (header, data) = Header::decode(&message).unwrap();
                return Heard::Packet(header, data.to_vec());
            }
            Ready::Closed(closed) => panic!("{closed}"),
            _ => {}
        }
    }
}

async fn hear_open(link: &mut Link) -> Open {
    loop {
        if let Heard::Control(ToAgent::Open(open)) = hear(link).await {
            return *open;
        }
    }
}

/// Receives packets until the last one or until `stop` have come; acks each with credit for many more.
async fn receive(link: &mut Link, open: &Open, stop: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..stop {
        let (header, data) = loop {
            if let Heard::Packet(header, data) = hear(link).await {
                break (header, data);
            }
        };
        assert_eq!((header.transfer, header.printer), (open.transfer, open.printer));
        bytes.extend_from_slice(&data);
        let ack = Ack { transfer: open.transfer, next_seq: header.seq + 1, credit: 64 };
        link.say(&ToBroker::Ack(ack));
        if header.last {
            break;
        }
    }
    link.0.flush().await.unwrap();
    bytes
}

fn fact(open: &Open, seq: u32, fact: Fact) -> ToBroker {
    let (job, attempt) = (open.job, open.attempt);
    let message =
        FactMessage { job, attempt, fact_seq: FactSeq(seq), ledger_seq: u64::from(seq), at_ms: 1, fact };
    ToBroker::Fact(message)
}

async fn finish(link: &mut Link, open: &Open) {
    let bytes = open.bytes;
    let completed = Fact::Completed {
        witness: Witness::Stored,
        delivered_bytes: bytes,
        sha256: Some(open.sha256),
        detail: None,
    };
    for (seq, what) in [(1, Fact::Spooled), (2, Fact::Printing), (3, completed)] {
        link.say(&fact(open, seq, what));
        loop {
            if let Heard::Control(ToAgent::FactAck { job, fact_seq, .. }) = hear(link).await {
                assert_eq!((job, fact_seq), (open.job, FactSeq(seq)));
                break;
            }
        }
    }
}

async fn app_with_agent(lab: &Lab) -> (App, Device, Link) {
    let mut device = Device::enrolled(lab).await;
    let (link, _) = device.connect(lab).await;
    (App::connect(lab, &lab.key("submit").await).await, device, link)
}

fn create(content: Value) -> Value {
    json!({"printer": "office", "format": "text/plain", "title": "t", "content": content})
}

fn inline(bytes: &[u8]) -> Value {
    create(json!({"inline": STANDARD.encode(bytes)}))
}

async fn wait_for(app: &mut App, job: &Value, state: &str) -> Value {
    let looking = async {
        loop {
            let detail = app.call("jobs.get", json!({"job": job})).await.unwrap();
            if detail["job"]["state"] == state {
                return detail;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap()
}

/// Sends packets `from..to` of an upload; every so often looks for acks.
async fn upload(app: &mut App, upload: &Value, bytes: &[u8], from: usize, to: usize) {
    let transfer = TransferId(upload["transfer"].as_u64().unwrap() as u32);
    let total = bytes.len().div_ceil(PACKET);
    let mut limit = from + upload["credit"].as_u64().unwrap() as usize;
    for seq in from..to {
        while seq >= limit {
            let ack = app.note("upload.ack").await;
            limit = (ack["next_seq"].as_u64().unwrap() + ack["credit"].as_u64().unwrap()) as usize;
        }
        let data = &bytes[seq * PACKET..bytes.len().min((seq + 1) * PACKET)];
        let header = Header::over(transfer, PrinterNumber(0), seq as u32, seq + 1 == total, data);
        app.socket.queue_packet(&header, data).unwrap();
        app.socket.flush().await.unwrap();
    }
    loop {
        if app.note("upload.ack").await["next_seq"] == json!(to) {
            return;
        }
    }
}

#[tokio::test]
async fn a_label_goes_through_and_both_doors_tell_the_same() {
    let lab = Lab::start().await;
    let (mut app, _device, mut link) = app_with_agent(&lab).await;
    app.call("events.subscribe", json!({"kinds": ["job."]})).await.unwrap();
    let created = app.call("jobs.create", inline(b"^XA^XZ")).await.unwrap();
    let job = created["job"]["id"].clone();
    let open = hear_open(&mut link).await;
    assert_eq!(
        (json!(open.job), open.printer, open.sha256),
        (job.clone(), PrinterNumber(1), Sha256Digest::of(b"^XA^XZ"))
    );
    assert_eq!(receive(&mut link, &open, 1).await, b"^XA^XZ");
    finish(&mut link, &open).await;
    let detail = wait_for(&mut app, &job, "completed").await;
    assert_eq!(detail["job"]["witness"], "stored");
    let key = lab.key("read").await;
    let rest = lab.get(&format!("/v1/jobs/{}", job.as_str().unwrap()), &key).await;
    assert_eq!(rest.json(), detail);
    let mut offset = 0;
    let mut seen = Vec::new();
    while !seen.contains(&"job.completed".to_owned()) {
        for event in app.note("events").await["events"].as_array().unwrap() {
            assert!(event["offset"].as_u64().unwrap() > offset);
            offset = event["offset"].as_u64().unwrap();
            seen.push(event["kind"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen[0], "job.accepted", "{seen:?}");
}

#[tokio::test]
async fn rest_submits_and_cancels() {
    let lab = Lab::start().await;
    let (_app, _device, link) = app_with_agent(&lab).await;
    drop(link);
    let key = lab.key("submit").await;
    let body = json!({"printer": "labels", "format": "text/plain", "content": {"inline": "eA=="}, "hold": true, "idempotency_key": "k1"});
    let created = lab.rest(Method::POST, "/v1/jobs", Some(&key), body.clone()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].to_str().unwrap().to_owned();
    let again = lab.rest(Method::POST, "/v1/jobs", Some(&key), body).await;
    assert_eq!((again.status.as_u16(), &again.json()["duplicate"]), (200, &json!(true)));
    let canceled = lab.rest(Method::POST, &format!("{path}/cancel"), Some(&key), Value::Null).await;
    assert_eq!(canceled.json()["state"], "canceled");
    let late = lab.rest(Method::POST, &format!("{path}/hold"), Some(&key), Value::Null).await;
    assert_eq!((late.status.as_u16(), &late.json()["state"]), (409, &json!("canceled")));
    assert_eq!(lab.rest(Method::POST, &format!("{path}/dance"), Some(&key), Value::Null).await.status, 404);
    let transfer =
        json!({"printer": "labels", "format": "text/plain", "content": {"transfer": {"bytes": 70_000}}});
    let refused = lab.rest(Method::POST, "/v1/jobs", Some(&key), transfer).await;
    assert!(refused.status == 400 && refused.text.contains("/v1/app"), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_printed_is_refused_with_the_remedy() {
    let lab = Lab::start_with(|raw| raw.limits.max_document_bytes = Some(100_000)).await;
    let (mut app, _device, _link) = app_with_agent(&lab).await;
    let with = |key: &str, value: Value| {
        let mut request = inline(b"x");
        request[key] = value;
        request
    };
    let large = json!({"transfer": {"bytes": 100_001}});
    for (request, status) in [
        (with("printer", json!("nowhere")), 404),
        (with("format", json!("image/urf")), 415),
        (with("content", large), 413),
        (with("content", json!({"inline": "!"})), 400),
        (with("qty", json!(0)), 400),
        (with("colour", json!(1)), 400),
    ] {
        let problem = app.call("jobs.create", request.clone()).await.unwrap_err();
        assert_eq!(problem["status"], status, "{request}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_goes_on_where_it_stopped() {
    let lab = Lab::start().await;
    let (mut app, mut device, mut link) = app_with_agent(&lab).await;
    let bytes = document(200);
    let sha256 = Sha256Digest::of(&bytes);
    let content = json!({"transfer": {"bytes": bytes.len(), "packet_bytes": PACKET}});
    let created = app.call("jobs.create", create(content)).await.unwrap();
    assert_eq!(created["job"]["state"], "incoming");
    let job = created["job"]["id"].clone();
    upload(&mut app, &created["upload"], &bytes, 0, 77).await;

    // Another connection takes it up while nobody knows that the first is dead.
    let mut again = App::connect(&lab, &lab.key("submit").await).await;
    let resumed = again.call("jobs.resume_upload", json!({"job": job})).await.unwrap();
    assert_eq!((&resumed["next_seq"], &resumed["packet_bytes"]), (&json!(77), &json!(PACKET)));
    assert_eq!(app.note("upload.refused").await["problem"]["status"], 409);
    let early = again
        .call("jobs.finish_upload", json!({"transfer": resumed["transfer"], "bytes": bytes.len()}))
        .await;
    assert_eq!(early.unwrap_err()["status"], 409);
    let resumed = again.call("jobs.resume_upload", json!({"job": job})).await.unwrap();
    upload(&mut again, &resumed, &bytes, 77, 200).await;
    let params = json!({"transfer": resumed["transfer"], "bytes": bytes.len(), "sha256": sha256});
    let accepted = again.call("jobs.finish_upload", params).await.unwrap();
    assert_eq!((&accepted["sha256"], accepted["state"] == "incoming"), (&json!(sha256), false));

    // To the agent, cut as well.
    let open = hear_open(&mut link).await;
    let first = receive(&mut link, &open, 3).await;
    drop(link);
    let mut link = device.dial(&lab).await.unwrap();
    // Nothing new is sent before the ledger is reconciled, but what is held goes on at once.
    let held =
        HeldTransfer { job: open.job, attempt: open.attempt, packet_bytes: open.packet_bytes, next_seq: 3 };
    link.say(&ToBroker::Hello(Box::new(Hello { transfers: vec![held], ..device.hello() })));
    let reopened = hear_open(&mut link).await;
    assert_eq!((reopened.attempt, reopened.next_seq), (open.attempt, 3));
    let rest = receive(&mut link, &reopened, 200).await;
    assert_eq!(Sha256Digest::of(&[first, rest].concat()), sha256);
    finish(&mut link, &reopened).await;
    wait_for(&mut again, &job, "completed").await;
}

#[tokio::test]
async fn an_upload_that_is_cut_at_any_packet_becomes_one_job_and_nothing_acked_is_sent_again() {
    const PACKETS: usize = 12;
    let lab = Lab::start().await;
    let (mut app, _device, _link) = app_with_agent(&lab).await;
    let (first, second) = (lab.key("submit").await, lab.key("submit").await);
    let bytes = document(PACKETS);
    let sha256 = Sha256Digest::of(&bytes);
    let content = json!({"transfer": {"bytes": bytes.len(), "packet_bytes": PACKET}});
    for cut in 0..=PACKETS {
        let mut request = create(content.clone());
        request["idempotency_key"] = json!(format!("cut-{cut}"));
        request["hold"] = json!(true);
        let mut before = App::connect(&lab, &first).await;
        let created = before.call("jobs.create", request.clone()).await.unwrap();
        let job = created["job"]["id"].clone();
        if cut > 0 {
            upload(&mut before, &created["upload"], &bytes, 0, cut).await;
        }
        drop(before);
        // Another connection by another key of the account; by the job, or by asking for the same again.
        let mut after = App::connect(&lab, &second).await;
        let resumed = if cut % 2 == 0 {
            after.call("jobs.resume_upload", json!({"job": job})).await.unwrap()
        } else {
            after.call("jobs.create", request.clone()).await.unwrap()["upload"].clone()
        };
        assert_eq!(resumed["next_seq"], cut, "what was acked is not asked for again");
        if cut < PACKETS {
            upload(&mut after, &resumed, &bytes, cut, PACKETS).await;
        }
        let params = json!({"transfer": resumed["transfer"], "bytes": bytes.len(), "sha256": sha256});
        let accepted = after.call("jobs.finish_upload", params).await.unwrap();
        assert_eq!((&accepted["id"], &accepted["state"]), (&job, &json!("held")));
        // The answer was lost, and everything is asked for once more.
        let again = after.call("jobs.create", request).await.unwrap();
        assert_eq!((&again["duplicate"], &again["job"]["id"]), (&json!(true), &job));
        assert!(again.get("upload").is_none());
        let list = app.call("jobs.list", json!({"idempotency_key": format!("cut-{cut}")})).await.unwrap();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    }
    let all = app.call("jobs.list", json!({"limit": 500})).await.unwrap();
    assert_eq!(all["jobs"].as_array().unwrap().len(), PACKETS + 1);
}

#[tokio::test]
async fn a_repeated_create_takes_the_upload_over_from_a_dead_connection() {
    let lab = Lab::start().await;
    let (mut app, _device, _link) = app_with_agent(&lab).await;
    let bytes = document(20);
    let content = json!({"transfer": {"bytes": bytes.len(), "packet_bytes": PACKET}});
    let mut request = create(content);
    request["idempotency_key"] = json!("till-7-0001");
    let created = app.call("jobs.create", request.clone()).await.unwrap();
    upload(&mut app, &created["upload"], &bytes, 0, 7).await;
    let mut again = App::connect(&lab, &lab.key("submit").await).await;
    let repeated = again.call("jobs.create", request).await.unwrap();
    assert_eq!((&repeated["duplicate"], &repeated["job"]["id"]), (&json!(true), &created["job"]["id"]));
    assert_eq!(repeated["upload"]["next_seq"], 7);
    assert_eq!(app.note("upload.refused").await["transfer"], created["upload"]["transfer"]);
    upload(&mut again, &repeated["upload"], &bytes, 7, 20).await;
    let params = json!({"transfer": repeated["upload"]["transfer"], "bytes": bytes.len()});
    assert_ne!(again.call("jobs.finish_upload", params).await.unwrap()["state"], "incoming");
}

#[tokio::test]
async fn a_bad_packet_costs_the_connection_and_not_the_upload() {
    let lab = Lab::start().await;
    let (mut app, _device, _link) = app_with_agent(&lab).await;
    let bytes = document(200);
    let content = json!({"transfer": {"bytes": bytes.len(), "packet_bytes": PACKET}});
    let created = app.call("jobs.create", create(content)).await.unwrap();
    let job = created["job"]["id"].clone();
    let key = lab.key("submit").await;
    let data = &bytes[..PACKET];
    type Spoil = fn(Header) -> Header;
    let cases: [(Spoil, CloseCode); 6] = [
        (|header| Header { crc32c: 1, ..header }, CloseCode::PacketDamaged),
        (|header| Header { seq: 1, ..header }, CloseCode::PacketOutOfWindow),
        (|header| Header { seq: 150, ..header }, CloseCode::PacketOutOfWindow),
        (|header| Header { last: true, ..header }, CloseCode::ProtocolViolation),
        (|header| Header { printer: PrinterNumber(7), ..header }, CloseCode::ProtocolViolation),
        (|header| Header { transfer: TransferId(99), ..header }, CloseCode::ProtocolViolation),
    ];
    for (spoil, code) in cases {
        let mut app = App::connect(&lab, &key).await;
        let resumed = app.call("jobs.resume_upload", json!({"job": job})).await.unwrap();
        let transfer = TransferId(resumed["transfer"].as_u64().unwrap() as u32);
        let header = spoil(Header::over(transfer, PrinterNumber(0), 0, false, data));
        app.socket.queue_packet(&header, data).unwrap();
        assert_eq!(app.closed().await.code(), code);
    }
    let mut honest = App::connect(&lab, &key).await;
    let resumed = honest.call("jobs.resume_upload", json!({"job": job})).await.unwrap();
    let from = resumed["next_seq"].as_u64().unwrap() as usize;
    upload(&mut honest, &resumed, &bytes, from, 200).await;
    let wrong = Sha256Digest::of(b"something else");
    let params = json!({"transfer": resumed["transfer"], "bytes": bytes.len(), "sha256": wrong});
    assert_eq!(honest.call("jobs.finish_upload", params).await.unwrap_err()["status"], 422);
}

#[tokio::test]
async fn jobs_of_others_answer_like_none() {
    let lab = Lab::start().await;
    let (mut app, _device, _link) = app_with_agent(&lab).await;
    let created = app.call("jobs.create", inline(b"x")).await.unwrap();
    let job: JobId = serde_json::from_value(created["job"]["id"].clone()).unwrap();
    lab.admin("account.create", json!({"name": "other"})).await;
    let made = lab.admin("key.create", json!({"account": "other", "name": "k", "scope": "admin"})).await;
    let mut other = App::connect(&lab, made["key"].as_str().unwrap()).await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for method in [
        "jobs.get",
        "jobs.cancel",
        "jobs.hold",
        "jobs.release",
        "jobs.resume_upload",
        "jobs.reprint",
        "documents.get",
    ] {
        let foreign = other.call(method, json!({"job": job})).await.unwrap_err();
        let nobody = other.call(method, json!({"job": unknown})).await.unwrap_err();
        assert_eq!(foreign.to_string().replace(&job.to_string(), unknown), nobody.to_string(), "{method}");
        assert_eq!(nobody["status"], 404);
    }
    assert_eq!(other.call("jobs.list", json!({})).await.unwrap()["jobs"], json!([]));
}

#[tokio::test]
async fn a_subscriber_that_returns_misses_nothing() {
    let lab = Lab::start().await;
    let (mut app, _device, link) = app_with_agent(&lab).await;
    drop(link);
    let from = app.call("events.subscribe", json!({})).await.unwrap()["from"].clone();
    for _ in 0..3 {
        app.call("jobs.create", inline(b"x")).await.unwrap();
    }
    let mut back = App::connect(&lab, &lab.key("read").await).await;
    let subscribed =
        back.call("events.subscribe", json!({"after": from, "kinds": ["job.accepted"]})).await.unwrap();
    assert_eq!(subscribed["resumed"], true);
    let mut accepted = 0;
    while accepted < 3 {
        accepted += back.note("events").await["events"].as_array().unwrap().len();
    }
    let mut strange = from.clone();
    strange["epoch"] = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    assert_eq!(back.call("events.subscribe", json!({"after": strange})).await.unwrap()["resumed"], false);
    strange = from;
    strange["offset"] = json!(1_000_000);
    assert_eq!(back.call("events.subscribe", json!({"after": strange})).await.unwrap()["resumed"], false);
}
