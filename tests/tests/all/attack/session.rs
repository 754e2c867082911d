//! Agents that break the rules of a session.

use inkwire_client::new_job;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::limits::MAX_CONTROL_BYTES;
use inkwire_client::protocol::message::{AGENT_PATH, AGENT_SUBPROTOCOL};
use inkwire_tests::documents;
use inkwire_tests::fleet::{Member, Route, enrolments};
use inkwire_tests::peer::{Heard, Peer, frame, frame_head, packet};
use serde_json::{Value, json};

use super::{RAW, Scene};

/// A paired agent that dials as it should, and then does what it likes.
pub(super) struct Rogue {
    route: Route,
    member: Member,
}

impl Rogue {
    pub(super) async fn of(scene: &Scene) -> Self {
        let route = Route::to(scene.url());
        let token = enrolments(&scene.broker.data(), 1).await.remove(0);
        let member = Member::pair(&route, 1, token).await;
        Self { route, member }
    }

    fn dial(&mut self, scene: &Scene) -> Peer {
        let claims = self.member.claims(&self.route);
        let token = self.member.sign(&claims);
        Peer::upgrade(scene.url(), AGENT_PATH, AGENT_SUBPROTOCOL, Some(&token)).expect("the token is good")
    }

    fn hello(&self) -> Value {
        let mut hello = serde_json::to_value(self.member.hello()).unwrap();
        hello["type"] = json!("hello");
        hello
    }

    /// Dials, says hello, and that it has nothing to repeat.
    pub(super) fn begin(&mut self, scene: &Scene) -> Peer {
        let mut peer = self.dial(scene);
        peer.text(&self.hello().to_string());
        let Heard::Text(welcome) = peer.hear() else { panic!("hello was not answered") };
        let welcome: Value = serde_json::from_str(&welcome).unwrap();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        peer.text(&json!({"type": "reconciled", "store_epoch": welcome["store_epoch"]}).to_string());
        peer
    }
}

fn too_large_text() -> Vec<u8> {
    frame(1, &vec![b' '; MAX_CONTROL_BYTES + 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_a_session_has_its_own_code() {
    let scene = Scene::with("").await;
    let mut rogue = Rogue::of(&scene).await;
    let fact = json!({"type": "fact", "job": "not-an-id", "attempt": 1, "fact_seq": 1, "ledger_seq": 1, "at_ms": 1,
        "fact": {"kind": "spooled"}});
    let ack = json!({"type": "ack", "transfer": 9, "next_seq": 1, "credit": 1});
    let text = |value: Value| frame(1, value.to_string().as_bytes());
    let mut unmasked = text(json!({"type": "report", "seq": 1}));
    unmasked[1] &= 0x7f;
    for (what, bytes, code, name) in [
        ("a frame of 1 GiB, announced", frame_head(1, 1 << 30), 4101, "too-large"),
        ("a message one byte too large", too_large_text(), 4101, "too-large"),
        ("a packet larger than any", frame(2, &[0; MAX_CONTROL_BYTES + 1]), 4101, "too-large"),
        ("no JSON", frame(1, b"{"), 4100, "protocol-violation"),
        ("an unknown message", text(json!({"type": "dance"})), 4100, "protocol-violation"),
        ("a missing field", text(json!({"type": "report"})), 4100, "protocol-violation"),
        ("a wrong field", text(fact), 4100, "protocol-violation"),
        ("a second hello", text(rogue.hello()), 4100, "protocol-violation"),
        ("an ack for nothing", text(ack), 4100, "protocol-violation"),
        ("a packet", frame(2, &packet(1, 0, true, b"x")), 4100, "protocol-violation"),
        ("text that is not UTF-8", frame(1, &[0xff, 0xfe]), 4100, "protocol-violation"),
        ("an unmasked frame", unmasked, 4100, "protocol-violation"),
        ("an unknown opcode", frame(5, b""), 4100, "protocol-violation"),
    ] {
        println!("{what}");
        let having = ["WARN", "ended by a mistake of the agent", name];
        scene.costs(name, &having, || {
            let mut peer = rogue.begin(&scene);
            peer.raw(&bytes);
            let (found, reason) = peer.closed();
            assert_eq!(found, code, "{what}: {reason}");
            assert!(reason.starts_with(&format!("{name}: ")), "{what}: it says its name and why: {reason}");
        });
    }
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_no_hello_has_its_own_code() {
    let scene = Scene::with("").await;
    let mut rogue = Rogue::of(&scene).await;
    let hello = rogue.hello();
    let but = |field: &str, value: Value| {
        let mut hello = hello.clone();
        hello[field] = value;
        frame(1, hello.to_string().as_bytes())
    };
    let printers = vec![hello["printers"][0].clone(); 65];
    for (what, bytes, code, name) in [
        ("a report", frame(1, br#"{"type":"report","seq":1}"#), 4100, "protocol-violation"),
        ("a packet", frame(2, &packet(1, 0, true, b"x")), 4100, "protocol-violation"),
        ("65 printers", but("printers", json!(printers)), 4100, "protocol-violation"),
        ("a long name", but("hostname", json!("x".repeat(256))), 4100, "protocol-violation"),
        ("too much of it", too_large_text(), 4101, "too-large"),
        ("a version that nobody speaks", but("protocol", json!(0)), 4503, "incompatible"),
        ("silence", Vec::new(), 4003, "hello-timeout"),
    ] {
        println!("{what}");
        scene.costs(name, &["WARN", "session refused", name], || {
            let mut peer = rogue.dial(&scene);
            peer.raw(&bytes);
            let (found, reason) = peer.closed();
            assert_eq!(found, code, "{what}: {reason}");
            assert!(reason.starts_with(name), "{what}: it says its name: {reason}");
        });
    }
    rogue.begin(&scene);
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_that_the_broker_forgot_something_is_not_believed() {
    let scene = Scene::with("").await;
    let mut rogue = Rogue::of(&scene).await;
    let epoch = || scene.broker.admin(&["status"])["store_epoch"].clone();
    let before = epoch();
    let made_up = "A".repeat(64);
    for (facts_acked, receipt) in [(1, None), (u64::MAX, None), (7, Some(&made_up))] {
        scene.costs("claim-unproven", &["WARN", "not believed"], || {
            let mut peer = rogue.dial(&scene);
            let mut hello = rogue.hello();
            hello["facts_acked"] = json!(facts_acked);
            if let Some(receipt) = receipt {
                hello["receipt"] = json!(receipt);
            }
            peer.text(&hello.to_string());
            let Heard::Text(welcome) = peer.hear() else { panic!("hello was not answered") };
            assert!(welcome.contains("\"welcome\""), "{welcome}");
        });
    }
    assert_eq!(epoch(), before, "the store is what it was");
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_about_another_agents_job_changes_nothing() {
    let scene = Scene::with("").await;
    let mut rogue = Rogue::of(&scene).await;
    let mut job = new_job("bystander", RAW);
    job.hold = true;
    let job = scene.client.submit(job, documents::zpl(1_000_000)).await.unwrap();
    let mut peer = rogue.begin(&scene);
    for (fact_seq, fact) in (1..).zip([
        json!({"kind": "completed", "witness": "device", "delivered_bytes": 1}),
        json!({"kind": "uncertain", "reason": "x", "detail": "x", "delivered_bytes": 1}),
    ]) {
        let fact = json!({"type": "fact", "job": job.id, "attempt": 1, "fact_seq": fact_seq, "ledger_seq": 2,
            "at_ms": 1, "fact": fact});
        peer.text(&fact.to_string());
        loop {
            match peer.hear() {
                Heard::Text(text) if text.contains("fact_ack") => break,
                Heard::Text(_) => {}
                other => panic!("the broker said {other:?}"),
            }
        }
    }
    assert_eq!(scene.client.job(job.id).await.unwrap().job.state, State::Held);
    assert!(scene.logged(&[&job.id.to_string(), "fact"]) > 0, "it is logged");
    scene.bystander.is_unharmed().await;
}
