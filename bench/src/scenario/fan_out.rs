//! `fan-out`: one account's events to very many followers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use inkwire_client::{Client, new_job};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{MissedTickBehavior, interval};

use crate::followers::{Feed, Following, STAMP, SUBJECT, now_ms};
use crate::goal::{Goal, Kind, Side};
use crate::peers::nats::Nats;
use crate::peers::tls::Certificates;
use crate::proc::cpu_s;
use crate::programs::Programs;
use crate::sessions::{Agents, Crowd, Host as _};
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;

const NATS: &str = "nats-server";
const P50: &str = "event made to event received, p50";
const P99: &str = "event made to event received, p99";
const CPU: &str = "server CPU a million deliveries";
const BYTES: &str = "bytes a delivery";
/// Whoever has not got all of them so long after the last has lost one.
const WITHIN: Duration = Duration::from_secs(30);

struct Size {
    followers: usize,
    per_s: u32,
    events: usize,
}

const FULL: Size = Size { followers: 1000, per_s: 200, events: 2000 };
const QUICK: Size = Size { followers: 50, per_s: 50, events: 100 };

/// An app of our broker, and the printer that it holds jobs for.
struct Maker {
    app: Client,
    printer: String,
}

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let size = if programs.quick { &QUICK } else { &FULL };
    let dir = programs.dir.path().join("fan-out");
    std::fs::create_dir_all(&dir).context("the folder")?;
    let tls = Certificates::make(&dir)?;
    let agents = Arc::new(Agents::pair(&dir.join("inkwire"), 1).await?);
    let _online = Crowd::connect(&agents, 1).await?;
    let url = agents.broker.ready().pair_url.clone();
    let (read, submit) = block_in_place(|| (agents.broker.key("read"), agents.broker.key("submit")));
    let app = Client::connect(url.parse().context("the broker's URL")?, submit).await?;
    let printer = agents.printer(0).context("one agent")?;
    let maker = Arc::new(Maker { app, printer });
    let ours = Feed::ours(&url, &read)?;
    let (nats, websocket) = block_in_place(|| Nats::websocket(programs, &dir.join("nats"), &tls))?;
    let theirs = Feed::Nats { websocket, tls: Arc::clone(&tls.client) };
    describe(sheet, size, &nats.version);
    let publisher = nats.connect_plain().await?;
    for _ in 0..programs.rounds {
        let bytes = turn(sheet, OURS, &ours, agents.pid(), size, |_| {
            let maker = Arc::clone(&maker);
            async move { maker.make().await }
        })
        .await?;
        let payload = |number: usize| event(number, bytes as usize);
        turn(sheet, NATS, &theirs, nats.server.id(), size, |number| {
            let (publisher, payload) = (publisher.clone(), payload(number));
            async move { publisher.publish(SUBJECT, payload.into()).await.context("publishing") }
        })
        .await?;
    }
    sheet.goal(P99, Goal::ours(Kind::Must, Side::AtMost, 100.0));
    sheet.goal(CPU, Goal::ratio(Kind::Must, NATS, Side::AtMost, 1.0));
    Ok(())
}

/// One subject's turn; gives the bytes of a delivery.
async fn turn<F>(
    sheet: &mut Sheet,
    subject: &'static str,
    feed: &Feed,
    pid: u32,
    size: &Size,
    make: impl Fn(usize) -> F,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let following = Following::start(feed, size.followers, size.events).await?;
    let before = cpu_s(&[pid])?;
    let mut ticks = interval(Duration::from_secs(1) / size.per_s);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut made = JoinSet::new();
    for number in 0..size.events {
        ticks.tick().await;
        made.spawn(make(number));
    }
    while let Some(one) = made.join_next().await {
        one.context("an event")??;
    }
    let (late, bytes) = following.all(WITHIN).await.context(subject)?;
    let cpu = cpu_s(&[pid])? - before;
    for (figure, share) in [(P50, 0.5), (P99, 0.99)] {
        if let Some(value) = percentile(&late, share) {
            sheet.add(figure, "ms", subject, value);
        }
    }
    sheet.add(CPU, "s", subject, cpu / late.len().max(1) as f64 * 1e6);
    sheet.add(BYTES, "", subject, bytes);
    Ok(bytes)
}

impl Maker {
    /// A job that is held makes one event and nothing else.
    async fn make(&self) -> Result<()> {
        let mut job = new_job(self.printer.clone(), "application/octet-stream");
        job.hold = true;
        self.app.submit(job, vec![7]).await.context("submitting")?;
        Ok(())
    }
}

/// As long as ours are on the wire, less the line that nats-server puts before it.
fn event(number: usize, bytes: usize) -> Vec<u8> {
    let head = format!("{{\"offset\":{number},{STAMP}{},\"data\":\"", now_ms() as u64);
    let line = "MSG events 1 100\r\n\r\n".len();
    let fill = bytes.saturating_sub(head.len() + line + 2);
    format!("{head}{}\"}}", "x".repeat(fill)).into_bytes()
}

fn describe(sheet: &mut Sheet, size: &Size, nats: &str) {
    sheet.setting(
        "followers",
        format!("{} on TLS WebSockets, every one of them gets every event", size.followers),
    );
    sheet.setting("events", format!("{}, {} a second", size.events, size.per_s));
    sheet.setting(OURS, "each event is a job that is submitted held: committed with its row, then pushed; its time is the broker's, to the millisecond");
    sheet.setting(
        NATS,
        format!(
            "{nats}, core publish on a plain connection, nothing is stored; payloads as long as our events"
        ),
    );
}
