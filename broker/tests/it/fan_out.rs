//! Many subscribers of one account, one of which does not read.

#![allow(clippy::print_stderr, reason = "figures for who looks")]

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
/// Printers that are others with each report: twice as many events in one commit. With the pause below that is 200 events a second.
const PRINTERS: u16 = 2;
const EVERY: Duration = Duration::from_millis(20);
const ROUNDS: usize = 40;
/// The same for somebody who does not read: much at once.
const MANY: u16 = 64;

/// A report after which each of so many printers is another one: `printer.added` for each, and `printer.removed` for those before.
async fn stir(link: &mut Link, round: usize, printers: u16, words: usize) {
    let printers = (0..printers).map(|n| printer(n, &format!("{round}-{n}-{}", "x".repeat(words)))).collect();
    let seq = u32::try_from(round).unwrap();
    link.say(&ToBroker::Report(Report { seq, local_endpoint: None, rtt_ms: None, printers: Some(printers) }));
    link.0.flush().await.unwrap();
}

async fn subscribed(lab: &Lab, key: &str, places: &Semaphore) -> App {
    let _place = places.acquire().await.unwrap();
    let mut app = App::connect(lab, key).await;
    app.call("events.subscribe", json!({})).await.unwrap();
    app
}

/// Reads until `wanted` events of printers have come; says the delay of each.
async fn read(app: &mut App, wanted: usize) -> Vec<Duration> {
    let mut delays = Vec::new();
    while delays.len() < wanted {
        let note = app.note("events").await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for event in note["events"].as_array().unwrap() {
            if event["kind"].as_str().unwrap().starts_with("printer.") {
                delays.push(now.saturating_sub(Duration::from_millis(event["at_ms"].as_u64().unwrap())));
            }
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

/// Processor time of the broker's own threads so far (user and kernel), by the kernel's ticks of 10 ms.
fn broker_time() -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let (head, rest) = stat.rsplit_once(") ").unwrap();
        if head.ends_with("(broker") || head.ends_with("(store-writer") {
            let fields: Vec<&str> = rest.split(' ').collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    Duration::from_millis(ticks * 10)
}

#[test]
fn one_of_a_thousand_subscribers_does_not_read_and_the_others_do_not_feel_it() {
    // The broker's threads have a name, so that its time can be told from the subscribers'.
    let threads = |name: &str| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name(name).enable_all().build().unwrap()
    };
    let (broker, apps) = (threads("broker"), threads("apps"));
    let lab = Arc::new(broker.block_on(Lab::start()));
    apps.block_on(fan_out(lab));
    broker.shutdown_background();
}

async fn fan_out(lab: Arc<Lab>) {
    let key = lab.key("read").await;
    let mut device = Device::enrolled(&lab).await;
    device.printers = Vec::new();
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let began = Instant::now();
    let dialling: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| {
            let (lab, key, places) = (lab.clone(), key.clone(), places.clone());
            tokio::spawn(async move { subscribed(&lab, &key, &places).await })
        })
        .collect();
    let mut apps: Vec<App> = join_all(dialling).await.into_iter().map(Result::unwrap).collect();
    let (mut idle, mut pace) = (apps.pop().unwrap(), apps.pop().unwrap());
    eprintln!("{SUBSCRIBERS} subscribed after {:?}, {} MiB", began.elapsed(), resident() >> 20);

    let wanted = usize::from(PRINTERS) * (2 * ROUNDS - 1);
    let (before, time, began) = (resident(), broker_time(), Instant::now());
    let readers: Vec<_> = apps
        .into_iter()
        .map(|mut app| {
            tokio::spawn(async move {
                let delays = read(&mut app, wanted).await;
                (app, delays)
            })
        })
        .collect();
    let mut tick = tokio::time::interval(EVERY);
    for round in 1..=ROUNDS {
        tick.tick().await;
        stir(&mut link, round, PRINTERS, 20).await;
        // Reports that come too quickly would be taken together.
        let events = usize::from(PRINTERS) * if round == 1 { 1 } else { 2 };
        assert_eq!(read(&mut pace, events).await.len(), events);
    }
    let mut delays = Vec::new();
    let mut apps = Vec::new();
    for reader in readers {
        let (app, some) = tokio::time::timeout(3 * LONG, reader).await.unwrap().unwrap();
        assert_eq!(some.len(), wanted, "none is missed and none comes twice");
        delays.extend(some);
        apps.push(app);
    }
    delays.sort();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    let grown = resident().saturating_sub(before);
    let time = broker_time().saturating_sub(time);
    eprintln!(
        "{} deliveries in {:?}; delay p50 {:?}, p99 {:?}; {} MiB more; broker {time:?}, {:.2} us a delivery",
        delays.len(),
        began.elapsed(),
        at(50),
        at(99),
        grown >> 20,
        time.as_secs_f64() * 1e6 / delays.len() as f64,
    );
    assert!(grown < 128 << 20, "memory is bounded: {} MiB more", grown >> 20);

    // The one that did not read has lost nothing.
    assert_eq!(read(&mut idle, wanted).await.len(), wanted);
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
            if round < 40 {
                stir(&mut link, round, MANY, 240).await;
                read(&mut other, usize::from(MANY)).await;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let counters = &lab.admin("status", json!({})).await["counters"];
            if counters["slow"] == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(3 * LONG, slow).await.unwrap();
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
