//! Many subscribers of one account, one of which does not read.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::{Report, ToBroker};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::device::{Device, Link, printer};
use crate::lab::{LONG, Lab};

const SUBSCRIBERS: usize = 1000;
/// TLS handshakes at once: the broker takes no more from one address.
const AT_ONCE: usize = 64;
/// Printers whose names change with each report: so many events, all in one commit.
const PRINTERS: u16 = 64;

/// A report after which each printer is another one: `printer.added` and `printer.removed` for each.
async fn stir(link: &mut Link, round: usize, words: usize) {
    let printers = (0..PRINTERS).map(|n| printer(n, &format!("{round}-{}", "x".repeat(words)))).collect();
    let report = Report {
        seq: u32::try_from(round).unwrap(),
        local_endpoint: None,
        rtt_ms: None,
        printers: Some(printers),
    };
    link.say(&ToBroker::Report(report));
    link.0.flush().await.unwrap();
}

async fn subscribed(lab: &Lab, key: &str, places: &Semaphore) -> App {
    let _place = places.acquire().await.unwrap();
    let mut app = App::connect(lab, key).await;
    app.call("events.subscribe", json!({"kinds": ["printer.added"]})).await.unwrap();
    app
}

/// Reads until `wanted` events have come; says the delay of each.
async fn read(app: &mut App, wanted: usize) -> Vec<Duration> {
    let mut delays = Vec::new();
    while delays.len() < wanted {
        let note = app.note("events").await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for event in note["events"].as_array().unwrap() {
            delays.push(now.saturating_sub(Duration::from_millis(event["at_ms"].as_u64().unwrap())));
        }
    }
    delays
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_a_thousand_subscribers_does_not_read_and_the_others_do_not_feel_it() {
    let lab = Arc::new(Lab::start().await);
    let key = lab.key("read").await;
    let mut device = Device::enrolled(&lab).await;
    device.printers = Vec::new();
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let places = Semaphore::new(AT_ONCE);
    let began = Instant::now();
    let mut apps = join_all((0..SUBSCRIBERS).map(|_| subscribed(&lab, &key, &places))).await;
    let mut idle = apps.pop().unwrap();
    eprintln!("{SUBSCRIBERS} subscribed after {:?}, {} MiB", began.elapsed(), resident() >> 20);

    // The idle one shall have more waiting than its socket, its queue and its kernel's buffers hold.
    let rounds = 8;
    let (before, began) = (resident(), Instant::now());
    let readers: Vec<_> = apps
        .into_iter()
        .map(|mut app| {
            tokio::spawn(async move {
                let delays = read(&mut app, rounds * usize::from(PRINTERS)).await;
                (app, delays)
            })
        })
        .collect();
    for round in 1..=rounds {
        stir(&mut link, round, 20).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut delays = Vec::new();
    let mut apps = Vec::new();
    for reader in readers {
        let (app, some) = tokio::time::timeout(LONG, reader).await.unwrap().unwrap();
        assert_eq!(some.len(), rounds * usize::from(PRINTERS), "none is missed and none comes twice");
        delays.extend(some);
        apps.push(app);
    }
    delays.sort();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    eprintln!(
        "{} deliveries in {:?}; delay p50 {:?}, p99 {:?}; {} MiB more",
        delays.len(),
        began.elapsed(),
        at(50),
        at(99),
        resident().saturating_sub(before) >> 20
    );
    assert!(resident().saturating_sub(before) < 128 << 20, "memory is bounded");

    // Still it loses nothing: it goes on where it was.
    let delays = read(&mut idle, rounds * usize::from(PRINTERS)).await;
    assert_eq!(delays.len(), rounds * usize::from(PRINTERS));
    drop(apps);
}

#[tokio::test]
async fn who_reads_nothing_is_closed_as_slow_and_resumes() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    let mut device = Device::enrolled(&lab).await;
    device.printers = Vec::new();
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let mut idle = App::connect(&lab, &key).await;
    let begun = idle.call("events.subscribe", json!({})).await.unwrap();
    let mut other = App::connect(&lab, &key).await;
    other.call("events.subscribe", json!({"kinds": ["printer.added"]})).await.unwrap();
    let slow = async {
        for round in 1.. {
            if round < 60 {
                stir(&mut link, round, 250).await;
                read(&mut other, usize::from(PRINTERS)).await;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let counters = &lab.admin("status", json!({})).await["counters"];
            if counters["slow"] == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, slow).await.unwrap();
    // What the kernel had taken before the end is read first; then it is known how far that was.
    let mut through = begun["from"].clone();
    let closed = loop {
        match idle.message().await {
            Ok(message) if message["method"] == "events" => {
                through["offset"] = message["params"]["through"].clone()
            }
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert_ne!(closed.code(), CloseCode::Normal);
    let mut again = App::connect(&lab, &key).await;
    let resumed = again.call("events.subscribe", json!({"after": through})).await.unwrap();
    assert_eq!(resumed["resumed"], true);
    let note = again.note("events").await;
    assert_eq!(note["events"][0]["offset"].as_u64(), Some(through["offset"].as_u64().unwrap() + 1));
}
