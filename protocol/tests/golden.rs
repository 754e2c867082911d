//! The bytes of every message and packet. `INKWIRE_GOLDEN=write` writes them anew; whoever does changes docs/protocol.md too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use inkwire_protocol::app;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::*;
use inkwire_protocol::job::{Decision, Request, State};
use inkwire_protocol::limits::*;
use inkwire_protocol::message::*;
use inkwire_protocol::packet::Header;
use inkwire_protocol::printer::*;
use serde::Serialize;
use uuid::Uuid;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_5f00_0000_7000_8000_0000_0000_0000 | number)
}

fn job() -> JobId {
    JobId::from_uuid(id(1))
}

const ATTEMPT: Attempt = Attempt(2);
const TRANSFER: TransferId = TransferId(7);

fn printer() -> PrinterInfo {
    PrinterInfo {
        number: PrinterNumber(2),
        name: "office".into(),
        backend: Backend::Ipp,
        make_and_model: Some("Example Laser 9000".into()),
        location: None,
        formats: vec!["application/pdf".into(), "image/pwg-raster".into()],
        state: PrinterState::Stopped,
        state_reasons: vec!["media-empty".into()],
        state_message: None,
        capabilities: Capabilities { sides: vec!["one-sided".into()], ..Capabilities::default() },
        markers: vec![Marker { name: "black".into(), level_percent: Some(40) }],
        streams: false,
    }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        version: "0.1.0".into(),
        instance: InstanceId::from_uuid(id(2)),
        spool: SpoolId::from_uuid(id(3)),
        ledger_seq: 41,
        facts_acked: 12,
        receipt: Some(AckReceipt::new(StoreEpoch::from_uuid(id(4)), [5; 32])),
        session: Some(SessionToken::from_bytes([7; 32])),
        hostname: "till-3".into(),
        os: "linux-x86_64".into(),
        local_endpoint: Some("192.168.1.5:41000".parse().unwrap()),
        printers: vec![printer()],
        transfers: vec![HeldTransfer { job: job(), attempt: ATTEMPT, packet_bytes: 16_320, next_seq: 40 }],
        clock_offset_ms: Some(-1500),
    }
}

fn fact(fact: Fact) -> ToBroker {
    ToBroker::Fact(FactMessage {
        job: job(),
        attempt: ATTEMPT,
        fact_seq: FactSeq(3),
        ledger_seq: 42,
        at_ms: 1_795_363_200_000,
        fact,
    })
}

fn to_broker() -> Vec<(&'static str, ToBroker)> {
    let detail = || "the device closed the connection".to_owned();
    vec![
        ("agent-hello", ToBroker::Hello(Box::new(hello()))),
        (
            "agent-report",
            ToBroker::Report(Report { seq: 9, local_endpoint: None, rtt_ms: Some(31), printers: None }),
        ),
        (
            "agent-report-printers",
            ToBroker::Report(Report {
                seq: 10,
                local_endpoint: Some("[fe80::1]:5000".parse().unwrap()),
                rtt_ms: None,
                printers: Some(vec![printer()]),
            }),
        ),
        ("agent-ack", ToBroker::Ack(Ack { transfer: TRANSFER, next_seq: 44, credit: 64 })),
        (
            "agent-refuse",
            ToBroker::Refuse(Refuse {
                transfer: TRANSFER,
                job: job(),
                attempt: ATTEMPT,
                reason: RefuseReason::SpoolDamaged,
                detail: Some("packet 12 has another checksum".into()),
            }),
        ),
        ("agent-reconciled", ToBroker::Reconciled { store_epoch: StoreEpoch::from_uuid(id(4)) }),
        ("agent-progress", ToBroker::Progress { job: job(), attempt: ATTEMPT, delivered_bytes: 65_280 }),
        ("agent-fact-spooled", fact(Fact::Spooled)),
        ("agent-fact-corrupt", fact(Fact::Corrupt { detail: detail() })),
        ("agent-fact-printing", fact(Fact::Printing)),
        ("agent-fact-stopped", fact(Fact::Stopped { reasons: vec!["cover-open".into()], detail: detail() })),
        ("agent-fact-held", fact(Fact::Held)),
        (
            "agent-fact-completed",
            fact(Fact::Completed {
                witness: Witness::HandedOver,
                delivered_bytes: 6,
                sha256: Some(Sha256Digest::of(b"^XA^XZ")),
                detail: None,
            }),
        ),
        ("agent-fact-canceled", fact(Fact::Canceled)),
        (
            "agent-fact-aborted",
            fact(Fact::Aborted { reason: "document-format-error".into(), detail: detail() }),
        ),
        ("agent-fact-expired", fact(Fact::Expired)),
        (
            "agent-fact-uncertain",
            fact(Fact::Uncertain { reason: "connection-reset".into(), detail: detail(), delivered_bytes: 3 }),
        ),
    ]
}

fn to_agent() -> Vec<(&'static str, ToAgent)> {
    let welcome = Welcome {
        protocol: PROTOCOL_VERSION,
        version: "0.1.0".into(),
        session: SessionToken::from_bytes([8; 32]),
        resumed: true,
        epoch: Epoch(5),
        store_epoch: StoreEpoch::from_uuid(id(4)),
        spool_lost: false,
        observed_endpoint: "203.0.113.7:61002".parse().unwrap(),
        report_interval_ms: 25_000,
        broker_time_ms: 1_795_363_200_000,
        agent_name: "till-3".into(),
    };
    let open = Open {
        transfer: TRANSFER,
        job: job(),
        attempt: ATTEMPT,
        printer: PrinterNumber(2),
        bytes: 1_000_000,
        packet_bytes: 16_320,
        next_seq: 40,
        sha256: Sha256Digest::of(b"a document"),
        format: "application/pdf".into(),
        title: "Invoice 7".into(),
        delivery: Delivery::Spool,
        qty: 1,
        options: JobOptions { copies: Some(2), page_ranges: vec![(1, 3)], ..JobOptions::default() },
        priority: 50,
        accepted_ms: 1_795_363_100_000,
        expires_ms: Some(1_796_572_700_000),
        pacing_bytes_s: None,
    };
    vec![
        (
            "broker-welcome-spool-lost",
            ToAgent::Welcome(Box::new(Welcome { spool_lost: true, ..welcome.clone() })),
        ),
        ("broker-welcome", ToAgent::Welcome(Box::new(welcome))),
        (
            "broker-report-ok",
            ToAgent::ReportOk(ReportOk {
                seq: 9,
                broker_time_ms: 1_795_363_200_000,
                report_interval_ms: None,
            }),
        ),
        ("broker-open-paced", ToAgent::Open(Box::new(Open { pacing_bytes_s: Some(9600), ..open.clone() }))),
        ("broker-open", ToAgent::Open(Box::new(open))),
        ("broker-blocked", ToAgent::Blocked { transfer: TRANSFER, reason: BlockedReason::OtherTransfer }),
        ("broker-unblocked", ToAgent::Unblocked { transfer: TRANSFER }),
        ("broker-drop", ToAgent::Drop { job: job(), attempt: ATTEMPT, reason: "canceled".into() }),
        ("broker-request", ToAgent::Request { job: job(), attempt: ATTEMPT, request: Request::Cancel }),
        (
            "broker-fact-ack",
            ToAgent::FactAck {
                job: job(),
                attempt: ATTEMPT,
                fact_seq: FactSeq(3),
                facts_acked: 13,
                receipt: Some(AckReceipt::new(StoreEpoch::from_uuid(id(4)), [6; 32])),
            },
        ),
        ("broker-drain", ToAgent::Drain { retry_after_ms: 2500 }),
    ]
}

fn pairing() -> (ToPairing, Vec<(&'static str, FromPairing)>) {
    let pair = ToPairing::Pair {
        public_key: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
        proof: "c2lnbmF0dXJl".into(),
        hostname: "till-3".into(),
        os: "windows-x86_64".into(),
        version: "0.1.0".into(),
        enrolment: None,
    };
    let from = vec![
        ("pairing-challenge", FromPairing::Challenge { nonce: "bm9uY2U".into() }),
        (
            "pairing-code",
            FromPairing::Code {
                code: "7K3M-9QXT".into(),
                expires_in_s: 600,
                observed_endpoint: "203.0.113.7:61002".parse().unwrap(),
            },
        ),
        (
            "pairing-paired",
            FromPairing::Paired {
                agent: AgentId::from_uuid(id(5)),
                agent_name: "till-3".into(),
                account_name: "default".into(),
                broker_time_ms: 1_795_363_200_000,
            },
        ),
        (
            "pairing-refused",
            FromPairing::Refused { reason: "the code has expired: run agent pair again".into() },
        ),
    ];
    (pair, from)
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let packet = |seq, last, data: &[u8]| {
        let mut bytes = Header::over(TRANSFER, PrinterNumber(2), seq, last, data).encode().to_vec();
        bytes.extend_from_slice(data);
        bytes
    };
    vec![
        ("packet-label", packet(0, true, b"^XA^FO50,50^FDInkwire^FS^XZ")),
        ("packet-middle", packet(40, false, &[0x5a; 1024])),
        ("packet-empty-document", packet(0, true, b"")),
    ]
}

fn dial() -> Vec<(&'static str, serde_json::Value)> {
    let claims = DialClaims {
        sub: AgentId::from_uuid(id(5)).to_string(),
        aud: DIAL_AUDIENCE.into(),
        iat: 1_795_363_200,
        exp: 1_795_363_260,
        n: 17,
        th: Some(SessionToken::from_bytes([7; 32]).digest().to_string()),
    };
    let refused = DialRefused {
        error: DialError::Clock,
        detail: "the token is from the future: correct the clock".into(),
        broker_time_ms: 1_795_363_200_000,
    };
    vec![("dial-claims", json(&claims)), ("dial-refused", json(&refused))]
}

fn apps() -> Vec<(&'static str, serde_json::Value)> {
    let create = app::JobCreate {
        printer: "office".into(),
        content: app::Content::Transfer { bytes: 1_000_000, sha256: None, packet_bytes: None },
        format: "application/pdf".into(),
        title: "Invoice 7".into(),
        idempotency_key: Some("invoice-7".into()),
        options: JobOptions { sides: Some("two-sided-long-edge".into()), ..JobOptions::default() },
        qty: 1,
        delivery: Delivery::Stream,
        priority: 50,
        expires_in_s: None,
        on_uncertain: Some(OnUncertain::Hold),
        hold: false,
        tags: vec!["shop".into()],
    };
    let position = app::EventPosition { epoch: StoreEpoch::from_uuid(id(4)), offset: EventOffset(99) };
    let event = app::Event {
        offset: EventOffset(100),
        at_ms: 1_795_363_200_000,
        kind: "job.completed".into(),
        job: Some(job()),
        agent: None,
        printer: None,
        data: serde_json::json!({"witness": "device"}),
    };
    let inline = app::Content::Inline("XlhBXlha".into());
    vec![
        ("app-create", json(&create)),
        ("app-create-inline", json(&app::JobCreate { content: inline, ..create })),
        (
            "app-upload",
            json(&app::Upload { transfer: TRANSFER, packet_bytes: 16_320, next_seq: 0, credit: 4 }),
        ),
        (
            "app-finish",
            json(&app::FinishUpload {
                transfer: TRANSFER,
                bytes: 6,
                sha256: Some(Sha256Digest::of(b"^XA^XZ")),
            }),
        ),
        ("app-decide", json(&app::JobDecide { job: job(), decision: Decision::Reprint })),
        ("app-subscribe", json(&app::Subscribe { after: Some(position), ..app::Subscribe::default() })),
        (
            "app-events",
            json(&app::Events { epoch: position.epoch, events: vec![event], through: EventOffset(104) }),
        ),
        ("app-progress", json(&app::JobProgress { job: job(), received_bytes: 65_280, delivered_bytes: 0 })),
        (
            "app-problem",
            json(&app::Problem {
                state: Some(State::Completed),
                ..app::ProblemKind::Conflict.because("the job is completed and can no longer be canceled")
            }),
        ),
    ]
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

/// Every golden file: its name and the bytes that the code makes.
fn all() -> Vec<(String, Vec<u8>)> {
    let line = |text: String| format!("{text}\n").into_bytes();
    let mut files = Vec::new();
    let mut add = |name: &str, bytes| files.push((name.to_owned(), bytes));
    for (name, message) in to_broker() {
        add(&format!("{name}.json"), line(encode(&message).unwrap()));
    }
    for (name, message) in to_agent() {
        add(&format!("{name}.json"), line(encode(&message).unwrap()));
    }
    let (pair, from) = pairing();
    add("pairing-pair.json", line(encode(&pair).unwrap()));
    for (name, message) in from {
        add(&format!("{name}.json"), line(encode(&message).unwrap()));
    }
    for (name, value) in dial().into_iter().chain(apps()) {
        add(&format!("{name}.json"), line(value.to_string()));
    }
    for (name, bytes) in packets() {
        add(&format!("{name}.bin"), bytes);
    }
    files.sort();
    files
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// SHA-256 over "name, newline, SHA-256 of the file, newline" of every file, sorted by name.
fn folder_digest() -> Sha256Digest {
    let mut names: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut list = String::new();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        list.push_str(&format!("{name}\n{}\n", Sha256Digest::of(&fs::read(&path).unwrap())));
    }
    Sha256Digest::of(list.as_bytes())
}

#[test]
fn the_bytes_are_the_golden_ones() {
    let write = std::env::var_os("INKWIRE_GOLDEN").is_some_and(|value| value == "write");
    let mut expected = BTreeSet::new();
    for (name, bytes) in all() {
        let path = folder().join(&name);
        if write {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&golden),
            "{name} is not what the code makes"
        );
        assert_eq!(bytes, golden, "{name} is not what the code makes");
        expected.insert(name);
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(expected.contains(&name), "golden/{name} is made by nothing");
    }
}

#[test]
fn the_specification_knows_these_bytes() {
    let text = include_str!("../../docs/protocol.md");
    let digest = folder_digest();
    assert!(
        text.contains(&format!("`sha256 {digest}`")),
        "docs/protocol.md states another digest than the golden folder's {digest}: change the text that the bytes concern, then the line"
    );
}

#[test]
fn every_message_survives_the_wire() {
    for (name, message) in to_broker() {
        assert_eq!(decode::<ToBroker>(&encode(&message).unwrap()), Ok(message), "{name}");
    }
    for (name, message) in to_agent() {
        assert_eq!(decode::<ToAgent>(&encode(&message).unwrap()), Ok(message), "{name}");
    }
    let (pair, from) = pairing();
    assert_eq!(decode::<ToPairing>(&encode(&pair).unwrap()), Ok(pair));
    for (name, message) in from {
        assert_eq!(decode::<FromPairing>(&encode(&message).unwrap()), Ok(message), "{name}");
    }
    for (name, bytes) in packets() {
        let (header, data) = Header::decode(&bytes).unwrap();
        assert_eq!([&header.encode()[..], data].concat(), bytes, "{name}");
    }
}

#[test]
fn every_type_and_kind_has_golden_bytes() {
    // An exhaustive match: a new type does not compile before it is listed here, and then needs its file.
    let types: BTreeSet<_> = to_broker()
        .iter()
        .map(|(_, message)| match message {
            ToBroker::Hello(_) => "hello",
            ToBroker::Report(_) => "report",
            ToBroker::Ack(_) => "ack",
            ToBroker::Refuse(_) => "refuse",
            ToBroker::Fact(_) => "fact",
            ToBroker::Reconciled { .. } => "reconciled",
            ToBroker::Progress { .. } => "progress",
            ToBroker::Unknown => panic!("never sent"),
        })
        .collect();
    assert_eq!(types.len(), 7);
    let types: BTreeSet<_> = to_agent()
        .iter()
        .map(|(_, message)| match message {
            ToAgent::Welcome(_) => "welcome",
            ToAgent::ReportOk(_) => "report_ok",
            ToAgent::Open(_) => "open",
            ToAgent::Blocked { .. } => "blocked",
            ToAgent::Unblocked { .. } => "unblocked",
            ToAgent::Drop { .. } => "drop",
            ToAgent::Request { .. } => "request",
            ToAgent::FactAck { .. } => "fact_ack",
            ToAgent::Drain { .. } => "drain",
            ToAgent::Unknown => panic!("never sent"),
        })
        .collect();
    assert_eq!(types.len(), 9);
    let kinds = to_broker().iter().filter(|(name, _)| name.starts_with("agent-fact-")).count();
    assert_eq!(kinds, inkwire_protocol::job::FactKind::ALL.len());
}

#[test]
fn the_specification_states_the_codes_and_limits_of_the_code() {
    let text = include_str!("../../docs/protocol.md");
    for code in CloseCode::ALL {
        assert!(text.contains(&format!("| {} | `{}` |", code.code(), code.name())), "{code:?} is not in §8");
    }
    for kind in app::ProblemKind::ALL {
        let row = format!("| `{}` | {} | {} |", kind.keyword(), kind.status(), kind.rpc_code());
        assert!(text.contains(&row), "{row} is not in §10");
    }
    for row in [
        format!("| control message, app message | {MAX_CONTROL_BYTES} bytes |"),
        format!("| data of a packet | {MAX_PACKET_BYTES} bytes |"),
        format!("partial documents of an agent | {MAX_OPEN_TRANSFERS} |"),
        format!("| printers of an agent | {MAX_PRINTERS} |"),
        format!("| items of a list, characters of a name | {MAX_LIST_ITEMS}, {MAX_NAME_CHARS} |"),
        format!("of a connection | {MAX_WINDOW_BYTES}, {MAX_CONNECTION_WINDOW_BYTES} bytes |"),
        format!("after the upgrade | {} s |", HELLO_WITHIN.as_secs()),
        format!("| one write | {} s |", SEND_WITHIN.as_secs()),
        format!("from one address | {MAX_PENDING_PAIRINGS}, {MAX_PENDING_PAIRINGS_PER_ADDRESS} |"),
        format!("(`qty`) | {MAX_QTY} |"),
    ] {
        assert!(text.contains(&row), "`{row}` is not in §11");
    }
    assert_eq!(MAX_CONTROL_BYTES, MAX_APP_MESSAGE_BYTES);
}

#[test]
fn bad_messages_get_their_own_errors() {
    let text = encode(&ToBroker::Hello(Box::new(hello()))).unwrap();
    let code = |text: &str| decode::<ToBroker>(text).unwrap_err().close_code();
    let error = |text: &str| decode::<ToBroker>(text).unwrap_err().to_string();
    assert_eq!(code(&" ".repeat(MAX_CONTROL_BYTES + 1)), CloseCode::TooLarge);
    assert_eq!(code("{"), CloseCode::ProtocolViolation);
    assert!(error(r#"{"type":"teleport","to":"mars"}"#).contains("unknown type `teleport`"));
    assert!(error(r#"{"type":"ack","transfer":1}"#).contains("next_seq"));
    assert!(error(&text.replace("till-3", &"x".repeat(256))).contains("`hostname`"));
    assert!(error(&text.replace("16320", "1023")).contains("`packet_bytes` is 1023"));
    let many = |count: usize, same: bool| {
        let mut hello = hello();
        hello.printers = (0..count)
            .map(|at| PrinterInfo {
                number: PrinterNumber(if same { 1 } else { at as u16 }),
                name: format!("p{at}"),
                ..printer()
            })
            .collect();
        serde_json::to_string(&ToBroker::Hello(Box::new(hello))).unwrap()
    };
    assert!(decode::<ToBroker>(&many(MAX_PRINTERS, false)).is_ok());
    assert!(error(&many(MAX_PRINTERS + 1, false)).contains("65 items"));
    assert!(error(&many(2, true)).contains("number 1 twice"));
    let mut held = hello();
    held.transfers = vec![held.transfers[0]; 2];
    assert!(error(&encode(&ToBroker::Hello(Box::new(held))).unwrap()).contains("twice"));
    assert!(error(r#"{"type":"refuse","transfer":1,"job":"x","attempt":1,"reason":"busy"}"#).len() < 300);
}
