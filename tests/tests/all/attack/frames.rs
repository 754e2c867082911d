//! Frames that no library would send, floods of control frames, and agents that abuse the window.

use std::time::Duration;

use inkwire_client::new_job;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_tests::documents;
use inkwire_tests::lab::{rss_bytes, wait_until};
use inkwire_tests::peer::{Heard, Peer, frame};
use serde_json::{Value, json};

use super::session::Rogue;
use super::{RAW, Scene};

/// A frame with the first byte as it is given: FIN, reserved bits, opcode.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(first & 0x0f, payload);
    bytes[0] = first;
    bytes
}

/// What breaks RFC 6455, and what the peer is told.
fn broken() -> Vec<(&'static str, Vec<u8>, u16)> {
    let piece = vec![b' '; 16 * 1024];
    let endless: Vec<u8> = std::iter::once(raw(0x01, &piece))
        .chain(std::iter::repeat_n(raw(0x00, &piece), 128))
        .flatten()
        .collect();
    let mut unmasked = frame(1, b"{}");
    unmasked[1] &= 0x7f;
    unmasked.truncate(4);
    let huge = vec![0x81, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    vec![
        ("fragments without an end", endless, 4101),
        ("a message of 2^64 - 1 bytes, announced", huge, 4101),
        ("a continuation of nothing", raw(0x80, b"x"), 4100),
        ("a message within another", [raw(0x01, b"{"), raw(0x81, b"}")].concat(), 4100),
        ("a ping in fragments", raw(0x09, b"x"), 4100),
        ("a ping of 126 bytes", raw(0x89, &[0; 126]), 4100),
        ("a reserved bit", raw(0xc1, b"{}"), 4100),
        ("an unmasked frame", unmasked, 4100),
        ("an unknown control frame", raw(0x8b, b""), 4100),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_rules_cost_their_connection_alone() {
    let scene = Scene::with("").await;
    let key = scene.broker.key("read");
    let mut rogue = Rogue::of(&scene).await;
    for (what, bytes, code) in broken() {
        let app = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
        for (who, mut peer) in [("an app", app), ("an agent", rogue.begin(&scene))] {
            let sent = peer.try_raw(&bytes).is_ok();
            let (found, reason) = peer.closed();
            println!("{what}, {who}: {found} {reason}");
            // Who still sends when the connection ends may be reset before the close frame is read.
            let reset = found == 1006 && (!sent || bytes.len() > 1024 * 1024);
            assert!(found == code || reset, "{what}, {who}: {found} {reason}");
        }
    }
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_control_frames_are_answered_or_ended_and_take_no_memory() {
    let scene = Scene::with("").await;
    let key = scene.broker.key("read");
    let mut rogue = Rogue::of(&scene).await;
    let pid = scene.broker.ready().pid;
    let before = rss_bytes(pid);
    let pings = frame(9, &[7; 125]).repeat(500);
    let pongs = frame(10, &[7; 125]).repeat(500);
    let app = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
    let floods = [app, rogue.begin(&scene)].map(|mut peer| {
        let (pings, pongs) = (pings.clone(), pongs.clone());
        // 100,000 frames and nothing of what comes back is read: at some time the broker takes no more, or ends it.
        std::thread::spawn(move || {
            peer.give_up_after(Duration::from_secs(2));
            for n in 0..200 {
                if peer.try_raw(if n % 2 == 0 { &pings } else { &pongs }).is_err() {
                    return n;
                }
            }
            200
        })
    });
    for flood in floods {
        println!("{} of 200 were taken", flood.join().unwrap());
    }
    let grown = rss_bytes(pid).saturating_sub(before) / 1024;
    println!("{grown} KiB more");
    assert!(grown < 32 * 1024, "{grown} KiB more");
    scene.bystander.is_unharmed().await;
}

/// Waits for an offer and gives its channel and its packets.
fn offered(peer: &mut Peer) -> (Value, u64) {
    loop {
        let text = match peer.hear() {
            Heard::Text(text) => text,
            ended @ (Heard::Close { .. } | Heard::Lost) => panic!("nothing was offered: {ended:?}"),
        };
        let said: Value = serde_json::from_str(&text).unwrap();
        if said["type"] == "open" {
            let (bytes, size) = (said["bytes"].as_u64().unwrap(), said["packet_bytes"].as_u64().unwrap());
            return (said["transfer"].clone(), bytes.div_ceil(size));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_abuses_the_window_is_ended_and_its_job_waits() {
    let scene = Scene::with("").await;
    let mut rogue = Rogue::of(&scene).await;
    drop(rogue.begin(&scene));
    let printers = scene.client.printers().await.unwrap();
    let printer = printers.iter().find(|it| it.name != "bystander").unwrap().id;
    let job = new_job(printer.to_string(), RAW);
    let job = scene.client.submit(job, documents::noise(8, 3_000_000)).await.unwrap();
    type Says = fn(&Value, u64) -> Vec<Value>;
    let attacks: [(&str, Says); 4] = [
        ("an ack of what was never sent", |transfer, packets| {
            vec![json!({"type": "ack", "transfer": transfer, "next_seq": packets, "credit": 1})]
        }),
        ("an ack beyond the document", |transfer, packets| {
            vec![json!({"type": "ack", "transfer": transfer, "next_seq": packets + 7, "credit": 1})]
        }),
        ("an ack of another channel", |_, _| {
            vec![json!({"type": "ack", "transfer": 4_000_000_000_u32, "next_seq": 1, "credit": 1})]
        }),
        ("a number that is no number of packets", |transfer, _| {
            vec![json!({"type": "ack", "transfer": transfer, "next_seq": -1, "credit": 1})]
        }),
    ];
    for (what, says) in attacks {
        let mut peer = rogue.begin(&scene);
        let (transfer, packets) = offered(&mut peer);
        for said in says(&transfer, packets) {
            peer.text(&said.to_string());
        }
        let (code, reason) = peer.closed();
        println!("{what}: {code} {reason}");
        assert!((4100..4200).contains(&code), "{what}: {code} {reason}");
        let now = scene.client.job(job.id).await.unwrap().job;
        assert!(!now.state.is_terminal() && now.state != State::Spooled, "{what}: {now:?}");
        assert_eq!(now.received_bytes, 0, "{what}");
    }
    // A window as large as it can be said is no reason to hold more in memory: the socket takes what it takes.
    let pid = scene.broker.ready().pid;
    let before = rss_bytes(pid);
    let mut peer = rogue.begin(&scene);
    let (transfer, _) = offered(&mut peer);
    peer.text(&json!({"type": "ack", "transfer": transfer, "next_seq": 0, "credit": u32::MAX}).to_string());
    wait_until(Duration::from_secs(2), || rss_bytes(pid) > before + 8 * 1024 * 1024);
    let grown = rss_bytes(pid).saturating_sub(before) / 1024;
    assert!(grown < 8 * 1024, "{grown} KiB more");
    scene.bystander.is_unharmed().await;
}
