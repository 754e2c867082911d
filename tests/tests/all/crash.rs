//! kill -9 of real broker and agent processes at random instants while jobs flow, then the books are balanced
//! (I1–I6, I10): every accepted job is there, printed once or honestly uncertain.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inkwire_client::protocol::app::{Job, JobCreate};
use inkwire_client::protocol::ids::{JobId, Sha256Digest};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, new_job};
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::{documents, sink};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::{client, eventually, printers_online};

/// Kills unless `INKWIRE_KILLS` says otherwise.
const KILLS: u32 = 100;

/// What was promised: the job's document and its printer.
type Accepted = Arc<Mutex<HashMap<JobId, (Sha256Digest, String)>>>;

struct Site {
    agent: Agent,
    folder: PathBuf,
    raw: sink::Socket,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_double_nothing() {
    let kills: u32 = std::env::var("INKWIRE_KILLS")
        .ok()
        .map_or(KILLS, |text| text.parse().expect("INKWIRE_KILLS is a number"));
    let seed: u64 = std::env::var("INKWIRE_SEED")
        .ok()
        .map_or_else(rand::random, |text| text.parse().expect("INKWIRE_SEED is a number"));
    println!("{kills} kills, INKWIRE_SEED={seed}");

    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(&dir.path().join("broker"));
    let sites: Vec<Site> = (0..2).map(|number| site(dir.path(), &broker, number)).collect();
    let client = client(&broker, "submit").await;
    printers_online(&client, 4).await;

    let accepted: Accepted = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let submitters: Vec<_> = (0..3)
        .map(|lane| {
            tokio::spawn(submit(client.clone(), seed ^ lane, lane, Arc::clone(&stop), Arc::clone(&accepted)))
        })
        .collect();
    let killer = tokio::task::spawn_blocking(move || kill(broker, sites, kills, seed));
    let (broker, sites, agent_kills) = killer.await.expect("the killer survives");
    stop.store(true, Ordering::Relaxed);
    for submitter in submitters {
        submitter.await.expect("a submitter survives");
    }

    let accepted = accepted.lock().unwrap().clone();
    let jobs = settle(&client, &accepted).await;
    balance(&accepted, &jobs, &sites, agent_kills);
    drop(broker);
}

fn site(dir: &Path, broker: &Broker, number: usize) -> Site {
    let home = dir.join(format!("agent-{number}"));
    let folder = home.join("out");
    std::fs::create_dir_all(&folder).unwrap();
    let raw = sink::Socket::listen(None);
    let printers = [
        Printer::new(&format!("dir-{number}"), format!("directory://{}", folder.display())),
        Printer::new(&format!("raw-{number}"), raw.uri()),
    ];
    let mut agent = Agent::pair(&home, broker, &printers);
    agent.start();
    Site { agent, folder, raw }
}

/// Submits one document after the other, each until it is accepted: a repeated request must not make a second job.
async fn submit(client: Client, seed: u64, lane: u64, stop: Arc<AtomicBool>, accepted: Accepted) {
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = lane << 32 | number;
        let document = match random.random_range(0..10) {
            0..=4 => documents::zpl(name),
            5..=8 => documents::noise(seed ^ name, random.random_range(70_000..400_000)),
            _ => documents::noise(seed ^ name, random.random_range(2_000_000..4_000_000)),
        };
        let printer = ["dir-0", "raw-0", "dir-1", "raw-1"][random.random_range(0..4)];
        let mut job = new_job(printer, "application/octet-stream");
        job.idempotency_key = Some(format!("crash-{name}"));
        let digest = Sha256Digest::of(&document);
        let made = accept(&client, &job, &document).await;
        assert_ne!(made.state, State::Incoming, "accepted means on disk");
        accepted.lock().unwrap().insert(made.id, (digest, printer.to_owned()));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
    }
}

/// Asks until it is accepted.
async fn accept(client: &Client, job: &JobCreate, document: &[u8]) -> Job {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match client.submit(job.clone(), document).await {
            Ok(made) => return made,
            Err(error) => {
                assert!(
                    error.is_retryable(),
                    "submission {:?} failed for good: {error}",
                    job.idempotency_key
                );
                assert!(
                    Instant::now() < end,
                    "submission {:?} is not accepted: {error}",
                    job.idempotency_key
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Kills and restarts at random; gives everything back running, with how often an agent was killed.
fn kill(mut broker: Broker, mut sites: Vec<Site>, kills: u32, seed: u64) -> (Broker, Vec<Site>, u32) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut agent_kills = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(random.random_range(50..600)));
        let dice = random.random_range(0..10);
        let number = random.random_range(0..sites.len());
        let (kill_broker, kill_agent) = (dice < 5, dice >= 4);
        if kill_agent {
            sites[number].agent.kill9();
            agent_kills += 1;
        }
        if kill_broker {
            broker.kill9();
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..100)));
        if kill_broker {
            broker.restart();
        }
        if kill_agent {
            sites[number].agent.start();
        }
    }
    (broker, sites, agent_kills)
}

/// Waits until every accepted job has ended or is uncertain.
async fn settle(client: &Client, accepted: &HashMap<JobId, (Sha256Digest, String)>) -> HashMap<JobId, Job> {
    let mut settled = HashMap::new();
    for &id in accepted.keys() {
        let job = eventually(&format!("job {id} settles"), Duration::from_secs(120), async || {
            let job = client.job(id).await.ok()?.job;
            (job.state.is_terminal() || job.state == State::Uncertain).then_some(job)
        })
        .await;
        settled.insert(id, job);
    }
    settled
}

fn balance(
    accepted: &HashMap<JobId, (Sha256Digest, String)>,
    jobs: &HashMap<JobId, Job>,
    sites: &[Site],
    agent_kills: u32,
) {
    let mut uncertain = 0;
    for (id, (digest, printer)) in accepted {
        let job = &jobs[id];
        let site = &sites[usize::from(printer.ends_with('1'))];
        let printed = if printer.starts_with("dir") {
            sink::count_in(&site.folder, *digest)
        } else {
            site.raw.count(*digest)
        };
        match job.state {
            State::Completed => assert_eq!(printed, 1, "completed, printed {printed} times: {job:#?}"),
            State::Uncertain => {
                uncertain += 1;
                assert!(printer.starts_with("raw"), "a folder can always be asked: {job:#?}");
                assert!(printed <= 1, "uncertain, printed {printed} times: {job:#?}");
            }
            _ => panic!("accepted, and neither printed nor uncertain: {job:#?}"),
        }
        assert_eq!(job.sha256, Some(*digest));
    }
    let files: usize = sites.iter().map(|site| sink::digests_in(&site.folder).len()).sum();
    println!(
        "{} jobs accepted, {uncertain} uncertain after {agent_kills} kills of agents, {files} files",
        accepted.len()
    );
    assert!(accepted.len() >= 50, "too few jobs ({}) to prove anything", accepted.len());
    assert!(
        uncertain <= agent_kills,
        "{uncertain} uncertain jobs, but agents were killed only {agent_kills} times"
    );
}
