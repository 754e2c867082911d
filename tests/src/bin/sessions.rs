//! What an idle authenticated agent session costs the broker: `cargo run -p inkwire-tests --bin sessions -- 10000`.
//! Real TLS, real pairing, two printers an agent, reports running. Prints one line of JSON.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool: a failure here ends it, and its output is the result"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use inkwire_tests::fleet::{Member, Route, enrolments, idle};
use inkwire_tests::lab::{Broker, rss_bytes};

/// Handshakes in flight at once.
const DIALLING: usize = 64;

#[tokio::main]
async fn main() {
    let count: usize =
        std::env::args().nth(1).map_or(10_000, |text| text.parse().expect("a number of sessions"));
    raise_open_files();
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&dir.path().join("broker"));
    let route = Arc::new(Route::to(&broker.ready().pair_url));

    let tokens = enrolments(&broker.data(), count).await;
    eprintln!("pairing {count} agents ...");
    let members: Vec<Member> = futures_util::stream::iter(tokens.into_iter().enumerate())
        .map(|(number, token)| {
            let route = Arc::clone(&route);
            async move { Member::pair(&route, u32::try_from(number).unwrap(), token).await }
        })
        .buffer_unordered(DIALLING)
        .collect()
        .await;

    // A fresh process: what pairing cost is not a session's cost.
    broker.kill9();
    broker.restart();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pid = broker.process().id();
    let (before, cpu_before) = (rss_bytes(pid), cpu_ticks(pid));

    eprintln!("connecting {count} agents ...");
    let begin = Instant::now();
    let mut live = tokio::task::JoinSet::new();
    let mut connected = futures_util::stream::iter(members)
        .map(|mut member| {
            let route = Arc::clone(&route);
            async move { member.connect(&route).await }
        })
        .buffer_unordered(DIALLING);
    while let Some((socket, welcome)) = connected.next().await {
        // Spread as the broker's interval asks.
        let share =
            Duration::from_millis(welcome.report_interval_ms).mul_f64(live.len() as f64 / count as f64);
        live.spawn(idle(socket, welcome, share));
    }
    let connecting = begin.elapsed();
    let cpu_connected = cpu_ticks(pid);

    eprintln!("idle for a minute ...");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (after, cpu_after) = (rss_bytes(pid), cpu_ticks(pid));
    assert_eq!(live.len(), count, "every session is still live");
    println!(
        "{}",
        serde_json::json!({
            "sessions": count,
            "rss_before_bytes": before,
            "rss_after_bytes": after,
            "rss_per_session_bytes": (after - before) / count as u64,
            "connecting_s": connecting.as_secs_f64(),
            "cpu_per_connect_ms": (cpu_connected - cpu_before) as f64 * 10.0 / count as f64,
            "idle_cpu_share_of_a_core": (cpu_after - cpu_connected) as f64 / 100.0 / 60.0,
        })
    );
}

/// User and system time of a process, in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let after_name = stat.rsplit(')').next().expect("a stat line");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("the limit can be raised");
}
