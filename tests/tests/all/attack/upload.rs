//! Apps that break the rules of an upload. It costs the connection and never the document.

use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_tests::lab::{Agent, Printer};
use inkwire_tests::peer::{Peer, frame, frame_head, packet};
use inkwire_tests::{documents, sink};
use serde_json::{Value, json};

use super::{RAW, Scene};
use crate::support::{printers_online, reaches};

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// Sends what is left of the document by the rules, and gives the answer to `jobs.finish_upload`.
fn send_rest(peer: &mut Peer, upload: &Value, document: &[u8]) -> Result<Value, Value> {
    let (transfer, size) = (number(&upload["transfer"]), number(&upload["packet_bytes"]) as usize);
    let packets: Vec<&[u8]> = document.chunks(size).collect();
    let mut next = number(&upload["next_seq"]);
    let mut granted = next + number(&upload["credit"]);
    let last = packets.len() as u32 - 1;
    while next <= last {
        while next >= granted {
            let ack = peer.notified("upload.ack");
            granted = number(&ack["next_seq"]) + number(&ack["credit"]);
        }
        peer.binary(&packet(transfer, next, next == last, packets[next as usize]));
        next += 1;
    }
    while number(&peer.notified("upload.ack")["next_seq"]) <= last {}
    peer.call(
        "jobs.finish_upload",
        &json!({"transfer": transfer, "bytes": document.len(), "sha256": Sha256Digest::of(document)}),
    )
}

fn create(peer: &mut Peer, printer: &str, bytes: usize) -> Value {
    let content = json!({"transfer": {"bytes": bytes}});
    peer.call("jobs.create", &json!({"printer": printer, "format": RAW, "content": content})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_packet_costs_the_connection_and_no_document() {
    let scene = Scene::with("").await;
    let raw = sink::Socket::listen(None);
    let mut agent = Agent::pair(&scene.path("agent"), &scene.broker, &[Printer::new("raw", raw.uri())]);
    agent.start();
    printers_online(&scene.client, 2).await;
    let key = scene.broker.key("submit");
    let dial = || Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();

    let document = documents::noise(5, 400_000);
    let created = create(&mut dial(), "raw", document.len());
    let job = created["job"]["id"].clone();
    let resume = |peer: &mut Peer| peer.call("jobs.resume_upload", &json!({"job": job})).unwrap();

    type Break = fn(u32, u32, &[u8]) -> Vec<u8>;
    let attacks: [(&str, u16, &str, Break); 10] = [
        ("a packet that is not the next", 4102, "packet-out-of-window", |transfer, seq, data| {
            packet(transfer, seq + 1, false, data)
        }),
        ("a packet beyond the window", 4102, "packet-out-of-window", |transfer, seq, data| {
            packet(transfer, seq + 20, false, data)
        }),
        ("a wrong checksum", 4103, "packet-damaged", |transfer, seq, data| {
            let mut bytes = packet(transfer, seq, false, data);
            bytes[100] ^= 1;
            bytes
        }),
        ("too much data", 4101, "too-large", |transfer, seq, _| packet(transfer, seq, false, &[0; 16_321])),
        ("too little data", 4100, "protocol-violation", |transfer, seq, data| {
            packet(transfer, seq, false, &data[1..])
        }),
        ("last before the end", 4100, "protocol-violation", |transfer, seq, data| {
            packet(transfer, seq, true, data)
        }),
        ("a channel that was never opened", 4100, "protocol-violation", |transfer, seq, data| {
            packet(transfer + 9, seq, false, data)
        }),
        ("unknown flags", 4100, "protocol-violation", |transfer, seq, data| {
            let mut bytes = packet(transfer, seq, false, data);
            bytes[1] = 0x80;
            bytes
        }),
        ("an unknown kind", 4100, "protocol-violation", |transfer, seq, data| {
            let mut bytes = packet(transfer, seq, false, data);
            bytes[0] = 2;
            bytes
        }),
        ("less than a header", 4100, "protocol-violation", |_, _, _| vec![1, 0, 0]),
    ];
    for (what, code, name, broken) in attacks {
        println!("{what}");
        scene.costs(name, &["WARN", "app connection ended by a mistake of the app", name], || {
            let mut peer = dial();
            let upload = resume(&mut peer);
            let size = number(&upload["packet_bytes"]) as usize;
            peer.binary(&broken(number(&upload["transfer"]), number(&upload["next_seq"]), &document[..size]));
            let (found, reason) = peer.closed();
            assert_eq!(found, code, "{what}: {reason}");
            assert!(reason.starts_with(&format!("{name}: ")), "{what}: it says its name and why: {reason}");
        });
    }

    let mut peer = dial();
    let upload = resume(&mut peer);
    send_rest(&mut peer, &upload, &document).unwrap();
    let job = serde_json::from_value(job).unwrap();
    reaches(&scene.client, job, &[State::Completed]).await;
    assert_eq!(raw.count(Sha256Digest::of(&document)), 1);
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_not_what_its_digest_says_is_not_accepted() {
    let scene = Scene::with("").await;
    let key = scene.broker.key("submit");
    let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
    let document = documents::noise(6, 100_000);
    let content =
        json!({"transfer": {"bytes": document.len(), "sha256": Sha256Digest::of(b"something else")}});
    let created = peer
        .call("jobs.create", &json!({"printer": "bystander", "format": RAW, "content": content}))
        .unwrap();
    let problem = send_rest(&mut peer, &created["upload"], &document).unwrap_err();
    assert_eq!(problem["status"], json!(422), "{problem}");
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_no_app_may_send_costs_the_connection() {
    let scene = Scene::with("").await;
    let key = scene.broker.key("submit");
    for (what, bytes, code, name) in [
        ("a frame too large", frame_head(1, 1 << 40), 4101, "too-large"),
        ("text that is not UTF-8", frame(1, &[0xc0]), 4100, "protocol-violation"),
    ] {
        scene.costs(name, &["WARN", "app connection ended by a mistake of the app", name], || {
            let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
            peer.raw(&bytes);
            assert_eq!(peer.closed().0, code, "{what}");
        });
    }
    scene.costs("protocol-violation", &["WARN", "app connection ended", "protocol-violation"], || {
        let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, None).unwrap();
        peer.binary(&packet(1, 0, true, b"x"));
        assert_eq!(peer.closed().0, 4100, "a packet of a stranger");
    });
    scene.bystander.is_unharmed().await;
}
