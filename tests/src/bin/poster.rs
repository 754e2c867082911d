//! What a large document costs: `cargo run -p inkwire-tests --bin poster -- 1073741824`. A real broker and agent, real TLS, a folder
//! as printer; the document is a file of that size. Prints one line of JSON; the client's memory is this process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool: a failure here ends it, and its output is the result"
)]

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use inkwire_client::{Client, Document, new_job};
use inkwire_protocol::ids::JobId;
use inkwire_protocol::job::State;
use inkwire_tests::documents::noise;
use inkwire_tests::lab::{Agent, Broker, Printer, rss_bytes};
use serde_json::{Value, json};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A document that warms everything up before the measurement.
const WARM_UP_BYTES: u64 = 256 * 1024;

#[tokio::main]
async fn main() {
    let bytes: u64 = std::env::args().nth(1).map_or(1 << 30, |text| text.parse().expect("a size in bytes"));
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&dir.path().join("broker"));
    let out = dir.path().join("out");
    std::fs::create_dir_all(&out).unwrap();
    let printers = [Printer::new("folder", format!("directory://{}", out.display()))];
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &printers);
    agent.start();
    let url = broker.ready().pair_url.parse().unwrap();
    let client = Client::connect(url, broker.key("submit")).await.unwrap();
    while client.printers().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let small = dir.path().join("small");
    sparse(&small, WARM_UP_BYTES);
    let (job, _) = submit(&client, &small).await;
    let _ = printed(&client, job).await;

    let large = dir.path().join("large");
    sparse(&large, bytes);
    let pids = [broker.process().id(), agent.process().id(), std::process::id()];
    let (to_broker, took_up) = {
        let watch = Watch::new(pids);
        let (job, took) = submit(&client, &large).await;
        ((job, watch.end()), took)
    };
    let (job, leg_one) = to_broker;
    let watch = Watch::new(pids);
    let took_down = printed(&client, job).await;
    let leg_two = watch.end();
    println!(
        "{}",
        json!({
            "bytes": bytes,
            "upload": leg(bytes, took_up, leg_one),
            "delivery_and_print": leg(bytes, took_down, leg_two),
        })
    );
}

/// A file with noise at both ends and a hole between.
fn sparse(path: &Path, bytes: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    let end = noise(7, 4096);
    file.write_all(&end).unwrap();
    file.set_len(bytes).unwrap();
    file.seek(SeekFrom::Start(bytes.saturating_sub(4096))).unwrap();
    file.write_all(&end).unwrap();
}

async fn submit(client: &Client, path: &Path) -> (JobId, Duration) {
    let began = Instant::now();
    let document = Document::open(path).await.unwrap();
    let job = client.submit(new_job("folder", "application/octet-stream"), document).await.unwrap();
    (job.id, began.elapsed())
}

async fn printed(client: &Client, job: JobId) -> Duration {
    let began = Instant::now();
    loop {
        let now = client.job(job).await.unwrap().job;
        if now.state == State::Completed {
            return began.elapsed();
        }
        assert!(!now.state.is_terminal() && now.state != State::Uncertain, "{now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn leg(bytes: u64, took: Duration, [broker, agent, client]: [Growth; 3]) -> Value {
    json!({
        "seconds": took.as_secs_f64(),
        "mib_per_s": bytes as f64 / f64::from(1 << 20) / took.as_secs_f64(),
        "broker": broker.json(),
        "agent": agent.json(),
        "client": client.json(),
    })
}

/// Memory at the beginning and at its height, and processor time.
#[derive(Debug, Clone, Copy)]
struct Growth {
    before: u64,
    peak: u64,
    cpu_ticks: u64,
}

impl Growth {
    fn json(self) -> Value {
        json!({
            "rss_before_bytes": self.before,
            "rss_growth_bytes": self.peak.saturating_sub(self.before),
            "cpu_s": self.cpu_ticks as f64 / 100.0,
        })
    }
}

/// Looks at the memory of processes until it is ended.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<[Growth; 3]>,
}

impl Watch {
    fn new(pids: [u32; 3]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut growth = pids.map(|pid| {
            let before = rss_bytes(pid);
            Growth { before, peak: before, cpu_ticks: cpu_ticks(pid) }
        });
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                for (growth, pid) in growth.iter_mut().zip(pids) {
                    growth.peak = growth.peak.max(rss_bytes(pid));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            for (growth, pid) in growth.iter_mut().zip(pids) {
                growth.cpu_ticks = cpu_ticks(pid) - growth.cpu_ticks;
            }
            growth
        });
        Self { stop, thread }
    }

    fn end(self) -> [Growth; 3] {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

/// Processor time of a process so far, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
