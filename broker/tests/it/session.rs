//! Live sessions: who wins, what is answered, and what bad input costs.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::InstanceId;
use inkwire_protocol::message::{DialError, Report, ToAgent, ToBroker};
use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::device::{Device, Link, printer, refused};
use crate::lab::Lab;

async fn report(link: &mut Link, seq: u32) {
    let report = Report { seq, local_endpoint: None, rtt_ms: Some(12), printers: None };
    link.say(&ToBroker::Report(report));
    let ToAgent::ReportOk(answer) = link.receive().await else { panic!("no answer") };
    assert_eq!(answer.seq, seq);
}

#[tokio::test]
async fn the_newest_dial_wins() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (mut old, _) = device.connect(&lab).await;
    let (mut new, _) = device.connect(&lab).await;
    assert_eq!(old.closed().await.code(), CloseCode::Superseded);
    report(&mut new, 1).await;
}

#[tokio::test]
async fn an_older_dial_that_comes_late_wins_nothing() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let mut late = device.dial(&lab).await.unwrap();
    let (mut new, welcome) = device.connect(&lab).await;
    device.token = None;
    late.say(&ToBroker::Hello(Box::new(device.hello())));
    assert_eq!(late.closed().await.code(), CloseCode::Superseded);
    report(&mut new, 1).await;
    assert_eq!(welcome.epoch.0, 1);
}

#[tokio::test]
async fn two_pcs_with_one_identity_are_kept_out_until_one_is_released() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (a, b) = (device.instance, InstanceId::from_uuid(Uuid::new_v4()));
    let (_first, _) = device.connect(&lab).await;
    device.instance = b;
    let (mut second, _) = device.connect(&lab).await;
    device.instance = a;
    let mut third = device.dial(&lab).await.unwrap();
    third.say(&ToBroker::Hello(Box::new(device.hello())));
    assert_eq!(third.closed().await.code(), CloseCode::Clone);
    assert_eq!(second.closed().await.code(), CloseCode::Clone);
    assert_eq!(refused(device.dial(&lab).await).error, DialError::Clone);
    let agents = lab.admin("agent.list", json!({})).await;
    assert_eq!(agents["agents"][0]["status"], "clone");
    lab.admin("agent.release", json!({"agent": device.id})).await;
    let (mut back, _) = device.connect(&lab).await;
    report(&mut back, 1).await;
}

#[tokio::test]
async fn a_revoked_agent_is_closed_and_stays_out() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    lab.admin("agent.revoke", json!({"agent": device.id})).await;
    assert_eq!(link.closed().await.code(), CloseCode::Revoked);
    assert_eq!(refused(device.dial(&lab).await).error, DialError::Revoked);
}

#[tokio::test]
async fn bad_input_costs_only_its_own_session() {
    let lab = Lab::start().await;
    let mut bystander = Device::enrolled(&lab).await;
    let (mut healthy, _) = bystander.connect(&lab).await;
    let mut device = Device::enrolled(&lab).await;
    let huge = "x".repeat(300 * 1024);
    let ack = json!({"type": "ack", "transfer": 7, "next_seq": 1, "credit": 1}).to_string();
    for (text, code) in [
        (huge.as_str(), CloseCode::TooLarge),
        (r#"{"type":"dance"}"#, CloseCode::ProtocolViolation),
        ("not json", CloseCode::ProtocolViolation),
        (r#"{"type":"report"}"#, CloseCode::ProtocolViolation),
        (ack.as_str(), CloseCode::ProtocolViolation),
    ] {
        let (mut link, _) = device.connect(&lab).await;
        link.0.queue_text(text.to_owned()).unwrap();
        assert_eq!(link.closed().await.code(), code, "{}", &text[..text.len().min(40)]);
    }
    let (mut link, _) = device.connect(&lab).await;
    let header = inkwire_protocol::packet::Header::over(
        inkwire_protocol::ids::TransferId(1),
        inkwire_protocol::ids::PrinterNumber(1),
        0,
        true,
        b"x",
    );
    link.0.queue_packet(&header, b"x").unwrap();
    assert_eq!(link.closed().await.code(), CloseCode::ProtocolViolation);
    let mut silent = device.dial(&lab).await.unwrap();
    silent.say(&json!({"type": "report", "seq": 1}));
    assert_eq!(silent.closed().await.code(), CloseCode::ProtocolViolation, "hello comes first");
    report(&mut healthy, 1).await;
    let counters = &lab.admin("status", json!({})).await["counters"];
    assert_eq!(
        (&counters["too-large"], &counters["protocol-violation"]),
        (&json!(1), &json!(6)),
        "{counters}"
    );
}

#[tokio::test]
async fn the_account_sees_sessions_printers_and_endpoints() {
    let lab = Lab::start().await;
    let mut app = App::connect(&lab, &lab.key("read").await).await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, welcome) = device.connect(&lab).await;
    report(&mut link, 1).await;
    let agent = app.call("agents.get", json!({"agent": device.id})).await.unwrap();
    assert_eq!((&agent["status"], &agent["rtt_ms"]), (&json!("online"), &json!(12)));
    assert_eq!(agent["observed_endpoint"], json!(welcome.observed_endpoint));
    assert_eq!(agent["endpoints"].as_array().unwrap().len(), 1);
    let (mut moved, again) = device.connect(&lab).await;
    let agent = app.call("agents.get", json!({"agent": device.id})).await.unwrap();
    assert_eq!(agent["endpoints"][0]["from"], json!(welcome.observed_endpoint));
    assert_eq!(agent["endpoints"][0]["to"], json!(again.observed_endpoint));

    let printers = vec![printer(1, "office"), printer(3, "new")];
    moved.say(&ToBroker::Report(Report {
        seq: 2,
        local_endpoint: None,
        rtt_ms: None,
        printers: Some(printers),
    }));
    let ToAgent::ReportOk(_) = moved.receive().await else { panic!("no answer") };
    let listed = app.call("printers.list", json!({})).await.unwrap();
    let present = |name: &str| {
        let all = listed["printers"].as_array().unwrap();
        all.iter().find(|printer| printer["name"] == name).unwrap()["present"].clone()
    };
    assert_eq!(
        (present("office"), present("labels"), present("new")),
        (json!(true), json!(false), json!(true))
    );
    drop(moved);
    let seen = async {
        while app.call("agents.get", json!({"agent": device.id})).await.unwrap()["status"] != "offline" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::lab::LONG, seen).await.unwrap();
}

#[tokio::test]
async fn a_lost_spool_is_told_until_the_agent_has_heard_it() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (_, first) = device.connect(&lab).await;
    assert!(!first.spool_lost);
    device.spool = inkwire_protocol::ids::SpoolId::from_uuid(Uuid::new_v4());
    for _ in 0..2 {
        let mut link = device.dial(&lab).await.unwrap();
        link.say(&ToBroker::Hello(Box::new(device.hello())));
        let ToAgent::Welcome(welcome) = link.receive().await else { panic!("no welcome") };
        device.token = Some(welcome.session.clone());
        assert!(welcome.spool_lost, "nobody knows whether it was heard");
    }
    let told_again = async {
        // Says `reconciled` each time; what is committed on it is seen at the next dial.
        loop {
            let (mut link, welcome) = device.connect(&lab).await;
            if !welcome.spool_lost {
                return;
            }
            report(&mut link, 1).await;
        }
    };
    tokio::time::timeout(crate::lab::LONG, told_again).await.unwrap();
}

#[tokio::test]
async fn a_restored_store_sends_every_other_session_back() {
    let lab = Lab::start().await;
    let (mut one, mut other) = (Device::enrolled(&lab).await, Device::enrolled(&lab).await);
    let (folder, stopped) = lab.stop().await;
    stopped.unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    copy_files(&data, &backup);

    // After the backup a fact is acknowledged, with a receipt.
    let lab = Lab::start_in(folder, |_| {}).await;
    let (mut link, _) = other.connect(&lab).await;
    link.say(&ToBroker::Fact(inkwire_protocol::message::FactMessage {
        job: inkwire_protocol::ids::JobId::from_uuid(Uuid::from_u128(77)),
        attempt: inkwire_protocol::ids::Attempt(1),
        fact_seq: inkwire_protocol::ids::FactSeq(1),
        ledger_seq: 1,
        at_ms: 1,
        fact: inkwire_protocol::message::Fact::Canceled,
    }));
    let ToAgent::FactAck { facts_acked, receipt, .. } = link.receive().await else { panic!("no ack") };
    let (folder, stopped) = lab.stop().await;
    stopped.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy_files(&backup, &data);

    let lab = Lab::start_in(folder, |_| {}).await;
    let (mut old, before) = one.connect(&lab).await;
    let mut link = other.dial(&lab).await.unwrap();
    link.say(&ToBroker::Hello(Box::new(inkwire_protocol::message::Hello {
        facts_acked,
        receipt,
        ..other.hello()
    })));
    let ToAgent::Welcome(welcome) = link.receive().await else { panic!("no welcome") };
    assert_ne!(welcome.store_epoch, before.store_epoch);
    assert_eq!(old.closed().await.code(), CloseCode::Draining);
    let (_back, again) = one.connect(&lab).await;
    assert_eq!(again.store_epoch, welcome.store_epoch);
    report(&mut link, 1).await;
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[tokio::test]
async fn a_larger_number_without_its_receipt_sends_nobody_back() {
    let lab = Lab::start().await;
    let (mut one, mut other) = (Device::enrolled(&lab).await, Device::enrolled(&lab).await);
    let (mut link, before) = one.connect(&lab).await;
    for times in 1..=3 {
        let mut rogue = other.dial(&lab).await.unwrap();
        let hello = other.hello();
        rogue.say(&ToBroker::Hello(Box::new(inkwire_protocol::message::Hello {
            facts_acked: u64::MAX - times,
            ..hello
        })));
        let ToAgent::Welcome(welcome) = rogue.receive().await else { panic!("no welcome") };
        other.token = Some(welcome.session.clone());
        assert_eq!(welcome.store_epoch, before.store_epoch);
        let counters = lab.admin("status", json!({})).await["counters"].clone();
        assert_eq!(counters["claim-unproven"], json!(times));
    }
    report(&mut link, 1).await;
}
