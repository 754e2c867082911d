//! Strangers who have no key and want to be in the way: they say nothing, say it slowly, or say hello all day.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::message::{AGENT_PATH, AGENT_SUBPROTOCOL, APP_PATH, APP_SUBPROTOCOL};
use inkwire_client::{Client, new_job};
use inkwire_tests::fleet::{Member, Route, enrolments};
use inkwire_tests::lab::{Agent, Printer, rss_bytes};
use inkwire_tests::peer::{Peer, dial_from};
use inkwire_tests::{documents, sink};

use super::{RAW, Scene};
use crate::support::{client, printers_online};

/// The broker's own deadline for each stage of a connection's beginning ...
const WITHIN: Duration = Duration::from_secs(10);
/// ... and what this machine may add.
const SLACK: Duration = Duration::from_secs(8);
/// Half-open connections, over so many addresses.
const HALF_OPEN: usize = 10_000;
const ADDRESSES: usize = 20;
/// What docs/operations.md promises of one (in kB of 1,024 bytes).
const HALF_OPEN_KIB: u64 = 16;

fn address(broker: &Scene) -> SocketAddr {
    broker.broker.ready().listen
}

/// An address of 127.0.0.0/8 that is nobody else's.
fn from(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 66, 0, 1 + number as u8))
}

/// The beginning of a ClientHello that never goes on.
const HALF_A_HELLO: [u8; 64] = {
    let mut bytes = [0; 64];
    (bytes[0], bytes[1], bytes[2], bytes[3], bytes[5], bytes[8]) = (0x16, 3, 1, 1, 1, 0xfc);
    bytes
};

/// Sends a byte now and then until the broker ends it; says how long that took.
fn drip(mut say: impl FnMut(&[u8]) -> std::io::Result<()>, bytes: &[u8]) -> Duration {
    let since = Instant::now();
    for byte in bytes.chunks(1).chain(std::iter::repeat(&b"x"[..])) {
        if say(byte).is_err() || since.elapsed() > 3 * WITHIN {
            break;
        }
    }
    since.elapsed()
}

/// Whether the other end has closed, looked at for a while.
fn closed(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    match stream.read(&mut [0; 512]) {
        Ok(0) => Err(std::io::ErrorKind::BrokenPipe.into()),
        Err(error)
            if [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut].contains(&error.kind()) =>
        {
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn tcp(scene: SocketAddr) -> TcpStream {
    dial_from(scene, from(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_it_slowly_is_sent_away_at_every_stage() {
    let scene = Scene::with("").await;
    let (at, url) = (address(&scene), scene.url().to_owned());
    let route = Route::to(scene.url());
    let mut agent = Member::pair(&route, 1, enrolments(&scene.broker.data(), 1).await.remove(0)).await;
    let claims = agent.claims(&route);
    let token = agent.sign(&claims);
    let silent = move || {
        let mut stream = tcp(at);
        drip(|_| closed(&mut stream), b"")
    };
    let hello = move || {
        let mut stream = tcp(at);
        drip(|byte| stream.write_all(byte).and_then(|()| closed(&mut stream)), &HALF_A_HELLO)
    };
    let nothing = {
        let url = url.clone();
        move || {
            let mut peer = Peer::open(&url);
            drip(|_| peer.try_raw(b""), b"")
        }
    };
    let nothing_more = {
        let url = url.clone();
        move || {
            let mut peer = Peer::open(&url);
            peer.raw(b"GET /healthz HTTP/1.1\r\nhost: broker\r\n\r\n");
            // The answer: what comes after it is the end.
            while peer.try_raw(b"").is_ok() {}
            drip(|_| peer.try_raw(b""), b"")
        }
    };
    let head = {
        let url = url.clone();
        move || {
            let mut peer = Peer::open(&url);
            drip(|byte| peer.try_raw(byte), b"GET /v1/jobs HTTP/1.1\r\nhost: broker\r\nx-slow: ")
        }
    };
    let upgrade = {
        let url = url.clone();
        move || {
            let mut peer = Peer::open(&url);
            drip(
                |byte| peer.try_raw(byte),
                b"GET /v1/app HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            )
        }
    };
    let app = {
        let url = url.clone();
        move || {
            let mut peer = Peer::upgrade(&url, APP_PATH, APP_SUBPROTOCOL, None).unwrap();
            drip(|byte| peer.try_raw(byte), &inkwire_tests::peer::frame_head(1, 200))
        }
    };
    let session = move || {
        let mut peer = Peer::upgrade(&url, AGENT_PATH, AGENT_SUBPROTOCOL, Some(&token)).unwrap();
        drip(|byte| peer.try_raw(byte), &inkwire_tests::peer::frame_head(1, 200))
    };
    type Stage = Box<dyn FnOnce() -> Duration + Send>;
    let stages: [(&str, Stage); 8] = [
        ("TCP", Box::new(silent)),
        ("TLS", Box::new(hello)),
        ("HTTP, silent", Box::new(nothing)),
        ("HTTP, silent after a request", Box::new(nothing_more)),
        ("HTTP", Box::new(head)),
        ("the upgrade", Box::new(upgrade)),
        ("authenticate", Box::new(app)),
        ("hello", Box::new(session)),
    ];
    let stages = stages.map(|(what, stage)| (what, std::thread::spawn(stage)));
    for (what, stage) in stages {
        let took = stage.join().unwrap();
        println!("{what}: {took:?}");
        assert!(took < WITHIN + SLACK, "{what}: {took:?}");
    }
    scene.bystander.is_unharmed().await;
}

/// So many files as the hard limit of this process allows: each end of each connection is one.
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_half_open_connections_stop_nobody_and_cost_little() {
    raise_limit();
    let scene = Scene::with("").await;
    let (at, pid) = (address(&scene), scene.broker.ready().pid);
    let key = scene.broker.key("submit");
    let before = rss_bytes(pid);
    let open = tokio::task::spawn_blocking(move || {
        let mut open = Vec::with_capacity(HALF_OPEN);
        for n in 0..HALF_OPEN {
            // A refusal is as good: the broker says that one address has too many.
            let Ok(mut stream) = dial_from(at, from(n % ADDRESSES)) else { continue };
            if n % 2 == 0 {
                drop(stream.write_all(&HALF_A_HELLO));
            }
            open.push(stream);
        }
        open
    });
    let open = open.await.unwrap();
    assert!(open.len() > HALF_OPEN * 9 / 10, "{} are open", open.len());
    // Somebody new is served among them, again and again.
    let url: inkwire_transport::BrokerUrl = scene.url().parse().unwrap();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let since = Instant::now();
        let new = inkwire_client::Client::connect(url.clone(), key.clone()).await.unwrap();
        new.printers().await.unwrap();
        slowest = slowest.max(since.elapsed());
    }
    let grown = rss_bytes(pid).saturating_sub(before) / 1024;
    println!("{} open: somebody new waited {slowest:?} at most; {grown} KiB more", open.len());
    assert!(slowest < WITHIN, "{slowest:?}");
    let bound = HALF_OPEN_KIB * HALF_OPEN as u64;
    assert!(grown < bound, "{grown} KiB more, {bound} are promised");
    scene.bystander.is_unharmed().await;
    drop(open);
}

/// Attackers have one core, behind everybody else: what is measured is what they cost the broker, not the machine.
fn be_an_attacker() {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut last = CpuSet::new();
    last.set(std::thread::available_parallelism().map_or(1, usize::from) - 1);
    sched_setaffinity(None, &last).unwrap();
    rustix::process::nice(19).unwrap();
}

/// Threads that do this until they are stopped.
struct Attackers {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl Attackers {
    fn start(attacks: Vec<Box<dyn Fn() + Send>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |attack: Box<dyn Fn() + Send>| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                be_an_attacker();
                let mut tries = 0;
                while !stop.load(Ordering::Relaxed) {
                    attack();
                    tries += 1;
                }
                tries
            })
        };
        let threads = attacks.into_iter().map(start).collect();
        Self { stop, threads }
    }

    /// Says how often they tried.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|it| it.join().unwrap()).sum()
    }
}

/// The p99 of honest labels, from the submission until the printer has them.
async fn labels(client: &Client, sink: &sink::Socket, numbers: std::ops::Range<u64>) -> Duration {
    let mut took = Vec::new();
    for number in numbers {
        let (label, since) = (documents::zpl(number), Instant::now());
        let digest = Sha256Digest::of(&label);
        client.submit(new_job("honest", RAW), label).await.expect("an honest label is accepted");
        while sink.count(digest) == 0 {
            assert!(since.elapsed() < Duration::from_secs(20), "an honest label prints");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(since.elapsed());
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// `INKWIRE_P99=1`: many labels, and their p99 is compared, which noise can fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_from_one_address_fails_nobody_else() {
    let compare = std::env::var_os("INKWIRE_P99").is_some();
    let count = if compare { 500 } else { 10 };
    let scene = Scene::with("").await;
    let (at, url, pid) = (address(&scene), scene.url().to_owned(), scene.broker.ready().pid);
    let sink = sink::Socket::listen(None);
    let mut agent = Agent::pair(&scene.path("honest"), &scene.broker, &[Printer::new("honest", sink.uri())]);
    agent.start();
    printers_online(&scene.client, 2).await;
    let burn = || {
        std::hint::black_box((0..100_000_u64).sum::<u64>());
    };
    let dummies = Attackers::start((0..3).map(|_| Box::new(burn) as Box<dyn Fn() + Send>).collect());
    let quiet = labels(&scene.client, &sink, 1_000_000..1_000_000 + count).await;
    dummies.stop();

    let before = rss_bytes(pid);
    let attackers = Attackers::start(vec![
        // Whole handshakes, one after the other.
        Box::new(move || drop(Peer::try_open(&url, Some(from(30))))),
        // Connections that end at once, and such as end after half a hello.
        Box::new(move || drop(dial_from(at, from(30)))),
        Box::new(move || {
            if let Ok(mut stream) = dial_from(at, from(30)) {
                drop(stream.write_all(&HALF_A_HELLO));
            }
        }),
    ]);
    // Silent ones that stay: more than the handshakes that are done at once.
    let mut silent = Vec::new();
    for n in 0..600 {
        if let Ok(mut stream) = dial_from(at, from(30)) {
            if n % 2 == 0 {
                drop(stream.write_all(&HALF_A_HELLO));
            }
            silent.push(stream);
        }
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let since = Instant::now();
        client(&scene.broker, "read").await.printers().await.expect("an honest newcomer is answered");
        slowest = slowest.max(since.elapsed());
    }
    let flooded = labels(&scene.client, &sink, 2_000_000..2_000_000 + count).await;
    let grown = rss_bytes(pid).saturating_sub(before) / 1024;
    let tries = attackers.stop();
    println!(
        "{tries} tries; a newcomer waited {slowest:?} at most; labels p99 {quiet:?} quiet, {flooded:?} flooded; {grown} KiB more"
    );
    assert!(slowest < WITHIN, "{slowest:?}");
    assert!(grown < 64 * 1024, "{grown} KiB more");
    assert!(!compare || flooded < 5 * quiet, "p99 of a label: {flooded:?}, quiet {quiet:?}");
    scene.bystander.is_unharmed().await;
}
