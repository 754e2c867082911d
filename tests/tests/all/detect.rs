//! How soon a dead path is noticed, and what is never taken for one. A router of our own stands between agent and broker:
//! when it takes another public address, everything that went over the old one is silent: no FIN, no RST.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use inkwire::demo::router::{Note, Router, RouterConfig};
use inkwire_client::protocol::ids::{Epoch, Sha256Digest};
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::printer::Delivery;
use inkwire_client::{Client, new_job};
use inkwire_tests::bloat::Bloat;
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::{documents, sink};
use inkwire_transport::BrokerUrl;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{client, eventually, printers_online, reaches};

const RAW: &str = "application/octet-stream";
const BEFORE: &str = "127.0.7.1";
const AFTER: &str = "127.0.7.2";

/// Broker, router, and one agent behind it that prints to a raw sink.
pub(crate) struct Line {
    _dir: tempfile::TempDir,
    pub(crate) broker: Broker,
    pub(crate) agent: Agent,
    _end: DropGuard,
    pub(crate) client: Client,
    pub(crate) router: Router,
    notes: Receiver<Note>,
    pub(crate) sink: sink::Socket,
}

pub(crate) async fn line(config: &str, sink: sink::Socket) -> Line {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broker.toml");
    std::fs::write(&file, config).unwrap();
    let broker = Broker::start_with(&dir.path().join("broker"), &["--config", file.to_str().unwrap()], &[]);
    let shutdown = CancellationToken::new();
    let config = RouterConfig {
        lan: "127.0.0.1:0".parse().unwrap(),
        broker: broker.ready().listen,
        public: BEFORE.parse().unwrap(),
        bytes_per_s: None,
    };
    let (router, notes) = Router::start(config, shutdown.clone()).await.unwrap();
    let url: BrokerUrl = broker.ready().pair_url.parse().unwrap();
    let url = BrokerUrl::new(&url.host(), router.lan().port(), url.pin()).unwrap().to_string();
    let printers = [Printer::new("raw", sink.uri())];
    let mut agent = Agent::pair_at(&dir.path().join("agent"), &broker, &url, &printers);
    agent.start();
    let client = client(&broker, "submit").await;
    printers_online(&client, 1).await;
    let _end = shutdown.drop_guard();
    Line { _dir: dir, broker, agent, _end, client, router, notes, sink }
}

impl Line {
    async fn epoch(&self) -> Epoch {
        self.client.agents().await.unwrap()[0].epoch
    }

    /// The router's time between its new address and the agent's first dial over it.
    async fn redialled_after(&mut self) -> Duration {
        let new: IpAddr = AFTER.parse().unwrap();
        let mut moved = None;
        loop {
            match self.notes.recv().await.expect("the router notes") {
                Note::Moved { at_us, .. } => moved = Some(at_us),
                Note::Mapped { at_us, public, .. } if public.ip() == new => {
                    return Duration::from_micros(at_us - moved.expect("it moved before"));
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_dies_under_a_document_is_noticed_within_three_seconds() {
    let mut line = line("", sink::Socket::listen(None)).await;
    line.router.set_pace(Some(1_000_000));
    let document = documents::noise(21, 6_000_000);
    let job = line.client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    line.router.take_address_after(AFTER.parse().unwrap(), 1_000_000).await;
    let noticed = line.redialled_after().await;
    println!("noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(3), "noticed after {noticed:?}");
    reaches(&line.client, job.id, &[State::Completed]).await;
    assert_eq!(line.sink.count(Sha256Digest::of(&document)), 1);
    let agent = line.client.agents().await.unwrap().remove(0);
    assert_eq!((agent.epoch.0, agent.observed_endpoint.unwrap().ip().to_string()), (2, AFTER.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_after_a_silent_change_while_idle_arrives_within_a_report_and_ten_seconds() {
    let line = line("report_interval_ms = 3000\n", sink::Socket::listen(None)).await;
    line.router.take_address(AFTER.parse().unwrap()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let submitted = Instant::now();
    let job = line.client.submit(new_job("raw", RAW), documents::zpl(1)).await.unwrap();
    reaches(&line.client, job.id, &[State::Spooled, State::Printing, State::Completed]).await;
    let took = submitted.elapsed();
    println!("at the agent after {took:?}");
    assert!(took < Duration::from_secs(13), "at the agent after {took:?}");
    reaches(&line.client, job.id, &[State::Completed]).await;
    assert_eq!(line.sink.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_takes_its_time_is_no_dead_path() {
    // 40 kB a second for some 15 s, far below what the line carries.
    let sink = sink::Socket::listen(Some((4096, Duration::from_millis(100))));
    let line = line("", sink).await;
    let epoch = line.epoch().await;
    // More than the kernel's buffers take, so that the printer is still at it when the time is over.
    let document = documents::noise(22, 14_000_000);
    let mut job = new_job("raw", RAW);
    job.delivery = Delivery::Stream;
    let job = line.client.submit(job, document).await.unwrap();
    let begun = Instant::now();
    eventually("it is being printed for 15 s", Duration::from_secs(40), async || {
        let job = line.client.job(job.id).await.ok()?.job;
        assert!(!job.state.is_terminal(), "it is over too soon for this test: {job:?}");
        (job.delivered_bytes > 0 && begun.elapsed() > Duration::from_secs(15)).then_some(())
    })
    .await;
    assert_eq!(line.epoch().await, epoch, "the agent dialled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_64_kbit_is_no_dead_path() {
    let line = line("", sink::Socket::listen(None)).await;
    let epoch = line.epoch().await;
    line.router.set_pace(Some(8_000));
    let document = documents::noise(23, 170_000);
    let begun = Instant::now();
    let job = line.client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    reaches(&line.client, job.id, &[State::Completed]).await;
    assert!(begun.elapsed() > Duration::from_secs(18), "the line was slow: {:?}", begun.elapsed());
    assert_eq!(line.sink.count(Sha256Digest::of(&document)), 1);
    assert_eq!(line.epoch().await, epoch, "the agent dialled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_seconds_of_queue_are_no_dead_path() {
    const BYTES_PER_S: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(&dir.path().join("broker"));
    let depth = Duration::from_secs(8);
    let bloat = Bloat::start(broker.ready().listen, BYTES_PER_S, depth).await;
    let url: BrokerUrl = broker.ready().pair_url.parse().unwrap();
    let url = BrokerUrl::new(&url.host(), bloat.lan().port(), url.pin()).unwrap().to_string();
    let sink = sink::Socket::listen(None);
    let mut agent =
        Agent::pair_at(&dir.path().join("agent"), &broker, &url, &[Printer::new("raw", sink.uri())]);
    agent.start();
    let client = client(&broker, "submit").await;
    printers_online(&client, 1).await;
    let epoch = client.agents().await.unwrap()[0].epoch;

    let document = documents::noise(24, 2_400_000);
    let job = client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    reaches(&client, job.id, &[State::Completed]).await;
    println!("the longest wait in the queue was {:?}", bloat.longest());
    assert!(bloat.longest() > depth - Duration::from_secs(1), "the queue was full: {:?}", bloat.longest());
    assert_eq!(sink.count(Sha256Digest::of(&document)), 1);
    assert_eq!(client.agents().await.unwrap()[0].epoch, epoch, "the agent dialled again");
}

/// Makes each sync of whoever is started with it take 1.5 s while a file exists: a document's data and checksums take 3 s.
const SLOW_DISK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static void wait_for_disk(void) {
    const char *when = getenv("INKWIRE_TEST_SLOW_DISK");
    struct timespec left = { 1, 500000000 };
    if (when && access(when, F_OK) == 0) while (nanosleep(&left, &left) != 0) {}
}
int fsync(int fd) {
    wait_for_disk();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
    wait_for_disk();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_syncs_for_three_seconds_is_no_dead_path() {
    let dir = tempfile::tempdir().unwrap();
    let (source, library, slow) =
        (dir.path().join("slow.c"), dir.path().join("slow.so"), dir.path().join("slow"));
    std::fs::write(&source, SLOW_DISK).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("a C compiler, which building this project needs as well");
    assert!(built.success());

    let broker = Broker::start(&dir.path().join("broker"));
    let sink = sink::Socket::listen(None);
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &[Printer::new("raw", sink.uri())]);
    agent.env("LD_PRELOAD", library.to_str().unwrap());
    agent.env("INKWIRE_TEST_SLOW_DISK", slow.to_str().unwrap());
    agent.start();
    let client = client(&broker, "submit").await;
    printers_online(&client, 1).await;
    let epoch = client.agents().await.unwrap()[0].epoch;

    std::fs::write(&slow, "").unwrap();
    let document = documents::noise(25, 1_500_000);
    let begun = Instant::now();
    let job = client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    reaches(&client, job.id, &[State::Spooled, State::Printing, State::Completed]).await;
    let took = begun.elapsed();
    println!("at the agent after {took:?}");
    // Credit for the first 64 KiB, an ack after three seconds, the rest, and its ack.
    assert!(took > Duration::from_secs(6), "the disk was slow: {took:?}");
    std::fs::remove_file(&slow).unwrap();
    reaches(&client, job.id, &[State::Completed]).await;
    assert_eq!(sink.count(Sha256Digest::of(&document)), 1);
    let now = client.agents().await.unwrap().remove(0);
    assert_eq!(now.epoch, epoch, "the agent dialled again:\n{}", agent.log());
}
