//! `inkwire demo`: a real document through a changed address, watched by the person who started it.
//!
//! ```text
//!  this process ──submit──▶ broker ◀── 127.0.0.21 ── router ◀── agent ──▶ printed/
//!                              ▲                        │
//!                              └────── 127.0.0.22 ──────┘   (in the middle of the document)
//! ```

pub mod document;
mod records;
mod report;
pub mod router;
mod sent;
mod stage;
mod story;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use inkwire_client::protocol::app::{Agent, Job};
use inkwire_client::protocol::ids::{Epoch, Sha256Digest};
use inkwire_client::protocol::limits::{DEFAULT_PACKET_BYTES, START_WINDOW_BYTES};
use inkwire_client::protocol::transfer::Layout;
use inkwire_client::{Client, Document, new_job};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::report::{Cut, DocumentReport, JobReport, Packets, Printed, Report};
use self::router::Note;
use self::sent::Sent;
use self::stage::{Process, Ready, RouterProcess};
use crate::commands::demo_router::Order;
use crate::commands::watch;
use crate::exit::{Exit, Failure};
use crate::progress::Bars;
use crate::{admin_socket, mime, output, words};

/// The router's public addresses, one after the other.
const PUBLIC: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 21)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 22))];
/// The demo's printer.
const PRINTER: &str = "shelf";
/// The document takes about so long through the router, so that a person can watch.
const PACED_OVER_S: u64 = 5;
/// The slowest and the fastest pace, in bytes a second.
const PACE: (u64, u64) = (16 * 1024, 10_000_000);
/// A shorter document cannot be cut in its middle: it is on its way at once.
const MIN_BYTES: u64 = 16 * DEFAULT_PACKET_BYTES as u64;
/// The job is over by then.
const JOB_WITHIN: Duration = Duration::from_secs(180);

/// Show on this machine how a document survives a changed address
///
/// Starts a broker, an agent and a small home router as processes of their own, prints a PDF of many pages (made here;
/// its pages carry uncompressed pictures, so it is long) through the router, and gives the router another public address
/// in the middle. Says what happened, and stays up to be played with.
///
///   inkwire demo
///   inkwire demo --once
///   inkwire demo --once --json
///   inkwire demo --file big.pdf
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// End afterwards; exit code 0 only if everything held
    #[arg(long)]
    once: bool,
    /// One JSON object instead of the story
    #[arg(long)]
    json: bool,
    /// Print this document instead of the one made here
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Everything that runs.
struct Stage {
    broker: Process,
    router: RouterProcess,
    agent: Process,
    ready: Ready,
    key: String,
    sent: Arc<Mutex<Sent>>,
}

/// The document of the demo.
struct Paper {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let shutdown = inkwire_service::Shutdown::new();
    shutdown.on_signals()?;
    let (ended, staying) = (shutdown.token().clone(), AtomicBool::new(false));
    let interrupted = async {
        ended.cancelled().await;
        if staying.load(Ordering::Relaxed) {
            // The story is told: what follows is an orderly end.
            std::future::pending::<()>().await;
        }
    };
    // Whichever way this ends, the processes are dropped with it, and a dropped process is killed.
    tokio::select! {
        result = play(&args, &ended, &staying) => result,
        () = interrupted => {
            output::note("interrupted; the demo's processes are ended");
            Ok(Exit::Failed)
        }
    }
}

async fn play(args: &Args, ended: &CancellationToken, staying: &AtomicBool) -> Result<Exit, Failure> {
    let dir = tempfile::Builder::new().prefix("inkwire-demo-").tempdir()?;
    let bars = Bars::new(!args.json);
    let say = |text: &str| {
        if !args.json {
            bars.say(text);
        }
    };
    let paper = paper(args, dir.path())?;
    say(&format!("document   {} ({})", paper.name, words::bytes(paper.bytes.len() as u64)));
    let mut stage = set(dir.path()).await?;
    let client = Client::connect(crate::connection::parse_url(&stage.ready.url)?, stage.key.as_str()).await?;
    let before = online(&client, &mut stage).await?;
    say(&format!("broker     {}", stage.ready.listen));
    say(&format!("router     LAN side {}, public address {}", stage.router.lan, PUBLIC[0]));
    say(&format!("agent      {}, seen by the broker at {}", before.name, story::endpoint(&before)));

    let job = print(&client, &mut stage, &paper, &bars, args.json).await?;
    bars.clear();
    let after = client.agent(before.id).await?;
    let report = report(&mut stage, &paper, &job, &after, dir.path())?;
    let broken = report.broken();
    if args.json {
        output::json(&report)?
    } else {
        story::tell(&report, &before, &after, &broken)?
    }
    if args.json {
        broken.iter().for_each(|words| output::note(&format!("not held: {words}")));
    }
    if !args.once {
        story::invite(&stage.ready, &stage.key, &stage::printed_dir(dir.path()))?;
        staying.store(true, Ordering::Relaxed);
        ended.cancelled().await;
    }
    drop(client);
    stage.agent.end().await;
    stage.router.process.end().await;
    stage.broker.end().await;
    Ok(if broken.is_empty() { Exit::Done } else { Exit::Failed })
}

fn paper(args: &Args, dir: &Path) -> Result<Paper, Failure> {
    let Some(file) = &args.file else {
        let bytes = document::make_pdf(document::PAGES);
        let (name, path) = ("first-light.pdf".to_owned(), dir.join("first-light.pdf"));
        std::fs::write(&path, &bytes)?;
        return Ok(Paper { name, path, bytes });
    };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if (bytes.len() as u64) < MIN_BYTES {
        return Err(Failure::usage(format!(
            "{} is too short to be cut in its middle: the demo needs at least {}",
            file.display(),
            words::bytes(MIN_BYTES)
        )));
    }
    let name = file.file_name().map_or_else(|| "document".into(), |name| name.to_string_lossy().into_owned());
    Ok(Paper { name, path: file.clone(), bytes })
}

/// Starts everything: the broker, a key, the router, an agent paired through it.
async fn set(dir: &Path) -> Result<Stage, Failure> {
    let sent = Arc::new(Mutex::new(Sent::default()));
    let (broker, ready) = stage::start_broker(dir, Arc::clone(&sent)).await?;
    let ask = async |method: &str, params, field: &str| {
        let answer = admin_socket::call(&ready.admin_socket, method, params).await?;
        let text = answer.get(field).and_then(|value| value.as_str()).map(str::to_owned);
        text.ok_or_else(|| Failure::from(anyhow!("the broker's answer to `{method}` has no `{field}`")))
    };
    let key = ask("key.create", json!({ "name": "demo", "scope": "submit" }), "key").await?;
    let enrolment = ask("enrolment.create", json!({}), "token").await?;
    let router = stage::start_router(ready.listen, PUBLIC[0]).await?;
    let url = format!("https://{}/#sha256={}", router.lan, ready.pin);
    let agent = stage::start_agent(dir, &url, &enrolment, PRINTER).await?;
    Ok(Stage { broker, router, agent, ready, key, sent })
}

/// Waits until the agent and its printer are there.
async fn online(client: &Client, stage: &mut Stage) -> Result<Agent, Failure> {
    let give_up_at = Instant::now() + stage::READY_WITHIN;
    loop {
        if client.printers().await?.iter().any(|printer| printer.name == PRINTER)
            && let Some(agent) =
                client.agents().await?.into_iter().find(|agent| agent.observed_endpoint.is_some())
        {
            return Ok(agent);
        }
        stage.agent.check()?;
        if Instant::now() >= give_up_at {
            return Err(anyhow!("the demo's agent was not there within {:?}", stage::READY_WITHIN).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Submits the document, has the router cut in the middle, and follows the job to its end.
async fn print(
    client: &Client,
    stage: &mut Stage,
    paper: &Paper,
    bars: &Bars,
    quiet: bool,
) -> Result<Job, Failure> {
    let bytes = paper.bytes.len() as u64;
    let pace = (bytes / PACED_OVER_S).clamp(PACE.0, PACE.1);
    stage.router.order(&Order::Pace { bytes_per_s: Some(pace) }).await?;
    stage.router.order(&Order::Move { to: PUBLIC[1], after_bytes: bytes * 9 / 20 }).await?;
    let events = client.events(watch::all_jobs()).await?;
    let head = paper.bytes.get(..mime::HEAD_BYTES).unwrap_or(&paper.bytes);
    let mut request = new_job(PRINTER, mime::of(&paper.path, head));
    request.title.clone_from(&paper.name);
    let upload = bars.bar("sent to the broker", bytes);
    let document = Document::open(&paper.path).await?;
    let job = client.submit_with(request, document, |at| upload.set_position(at.acked_bytes)).await?;
    upload.finish();
    let follow = watch::to_the_end(client, events, job, if quiet { None } else { Some(bars) });
    timeout(JOB_WITHIN, follow).await.map_err(|_| anyhow!("the job was not over within {JOB_WITHIN:?}"))?
}

fn report(stage: &mut Stage, paper: &Paper, job: &Job, agent: &Agent, dir: &Path) -> Result<Report, Failure> {
    let bytes = paper.bytes.len() as u64;
    let layout = Layout::new(bytes, DEFAULT_PACKET_BYTES).map_err(anyhow::Error::from)?;
    let sent = stage.sent.lock().map(|sent| sent.clone()).unwrap_or_default();
    let window = match sent.window() {
        0 => layout.packets_in(START_WINDOW_BYTES),
        window => window,
    };
    let mut history = agent.endpoints.clone();
    history.sort_by_key(|change| (change.epoch, change.at_ms));
    let mut epochs: Vec<Epoch> = history.iter().map(|change| change.epoch).collect();
    epochs.push(agent.epoch);
    epochs.dedup();
    let (detected_ms, resumed_ms) = times(&mut stage.router);
    Ok(Report {
        document: DocumentReport { name: paper.name.clone(), bytes, sha256: Sha256Digest::of(&paper.bytes) },
        printed: printed(&stage::printed_dir(dir))?,
        packets: Packets {
            total: layout.packets().into(),
            sent: sent.packets(),
            sent_twice: sent.twice(),
            window: window.into(),
        },
        cut: Cut { at_packet: sent.resumed_at(), detected_ms, resumed_ms },
        endpoints: history.iter().map(|change| change.to).collect(),
        epochs,
        job: JobReport { state: job.state, witness: job.witness },
    })
}

/// From the router's notes: silence to the agent's new dial, and to the first packet over the new mapping.
fn times(router: &mut RouterProcess) -> (Option<f64>, Option<f64>) {
    let (mut silent_us, mut dialled_us, mut packet_us) = (None, None, None);
    while let Ok(note) = router.notes.try_recv() {
        match note {
            Note::Moved { at_us, .. } => silent_us = Some(at_us),
            Note::Mapped { at_us, public, .. } if public.ip() == PUBLIC[1] => {
                dialled_us = dialled_us.or(Some(at_us));
            }
            Note::FirstPacket { at_us, public } if public.ip() == PUBLIC[1] => {
                packet_us = packet_us.or(Some(at_us));
            }
            Note::Mapped { .. }
            | Note::FirstPacket { .. }
            | Note::Listening { .. }
            | Note::Unreachable { .. } => {}
        }
    }
    let since = |at_us: Option<u64>| Some(at_us?.saturating_sub(silent_us?) as f64 / 1000.0);
    (since(dialled_us), since(packet_us))
}

/// What lies on the shelf: documents, without their sidecars and hidden files.
fn printed(dir: &Path) -> Result<Printed, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let sidecar = path.extension().is_some_and(|ending| ending == "json");
        if !hidden && !sidecar {
            found.push(path);
        }
    }
    let sha256 = match found.first() {
        Some(path) => Some(Sha256Digest::of(&std::fs::read(path)?)),
        None => None,
    };
    Ok(Printed { sha256, copies: found.len() })
}
