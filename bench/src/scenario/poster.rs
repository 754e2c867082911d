//! `poster`: one very large document through both legs, and what it costs in memory.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use inkwire_client::{Client, Document, EventItem, new_job};
use inkwire_protocol::app::Subscribe;
use inkwire_tests::documents::noise;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::goal::{Goal, Kind, Side};
use crate::ours::Ours;
use crate::peers::relay::Relay;
use crate::peers::tls::Certificates;
use crate::proc::{cpu_s, forget_peak, peak_bytes, rss_bytes};
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};

const RELAY: &str = "relay";
const BOTH: &str = "both legs";
const UP: &str = "leg one";
const DOWN: &str = "leg two";
const MIB: f64 = 1024.0 * 1024.0;
/// Warms up what a first document allocates once.
const WARM_UP_BYTES: u64 = 8 << 20;
/// A document is there by then.
const WITHIN: Duration = Duration::from_secs(900);

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let bytes: u64 = if programs.quick { 16 << 20 } else { 1 << 30 };
    let dir = programs.dir.path().join("poster");
    std::fs::create_dir_all(&dir).context("the folder")?;
    let tls = Certificates::make(&dir)?;
    let (small, large) = (dir.join("small"), dir.join("large"));
    block_in_place(|| sparse(&small, WARM_UP_BYTES).and_then(|()| sparse(&large, bytes)))?;
    describe(sheet, bytes);
    let device = swallow().await?;
    let mut ours = block_in_place(|| Ours::start(&dir.join("inkwire"), 1, &[device]));
    let pids = [("broker", ours.broker_id()), ("agent", ours.agent_ids()[0]), ("app", std::process::id())];
    let app = ours.apps(1).await?.remove(0);
    ours.await_printers(&app, 1).await?;
    let relay = block_in_place(|| Relay::start(&dir))?;
    through_us(&ours, &app, &small).await?;
    relay.send(&small, &tls, || ()).await?;
    for _ in 0..programs.rounds {
        let before = pids.map(|(_, pid)| rss_bytes(pid).and_then(|rss| forget_peak(pid).map(|()| rss)));
        let cpu = pids.map(|(_, pid)| cpu_s(&[pid]));
        add(sheet, OURS, bytes, through_us(&ours, &app, &large).await?);
        for ((name, pid), (before, cpu)) in pids.iter().zip(before.into_iter().zip(cpu)) {
            let growth = peak_bytes(*pid)?.saturating_sub(before?) as f64 / MIB;
            sheet.add(&growth_of(name), "MiB", OURS, growth);
            let gib = bytes as f64 / (1024.0 * MIB);
            sheet.add(&format!("CPU a GiB, {name}"), "s", OURS, (cpu_s(&[*pid])? - cpu?) / gib);
        }
        ours.await_completed(&app).await?;
        let began = Instant::now();
        let mut up = Duration::ZERO;
        relay.send(&large, &tls, || up = began.elapsed()).await?;
        add(sheet, RELAY, bytes, [up, began.elapsed()]);
    }
    sheet.goal(BOTH, Goal::ratio(Kind::Must, RELAY, Side::AtLeast, 0.7));
    for (name, _) in pids {
        sheet.goal(&growth_of(name), Goal::ours(Kind::Must, Side::AtMost, 16.0));
    }
    Ok(())
}

fn growth_of(name: &str) -> String {
    format!("RSS growth, {name}")
}

/// When leg one was durable, and when both were.
async fn through_us(ours: &Ours, app: &Client, path: &Path) -> Result<[Duration; 2]> {
    let follow =
        Subscribe { kinds: vec!["job.spooled".into(), "job.aborted".into()], ..Subscribe::default() };
    let mut events = app.events(follow).await?;
    let began = Instant::now();
    let document = Document::open(path).await?;
    let job = app.submit(new_job("printer0", "application/octet-stream"), document).await?;
    let up = began.elapsed();
    loop {
        match timeout(WITHIN, events.next()).await.context("the document did not come")? {
            Some(EventItem::Event(event)) if event.job == Some(job.id) && event.kind == "job.spooled" => {
                break;
            }
            Some(EventItem::Event(event)) if event.job == Some(job.id) => bail!("the job was aborted"),
            Some(EventItem::Event(_) | EventItem::Progress(_) | EventItem::CannotResume { .. }) => {}
            Some(EventItem::Ended(error)) => return Err(error.into()),
            None => bail!("the events ended"),
        }
    }
    let both = began.elapsed();
    ours.await_completed(app).await?;
    Ok([up, both])
}

fn add(sheet: &mut Sheet, subject: &'static str, bytes: u64, [up, both]: [Duration; 2]) {
    let rate = |time: Duration| bytes as f64 / MIB / time.as_secs_f64();
    sheet.add(BOTH, "MiB/s", subject, rate(both));
    sheet.add(UP, "MiB/s", subject, rate(up));
    sheet.add(DOWN, "MiB/s", subject, rate(both.saturating_sub(up)));
}

/// A printer that takes everything and keeps nothing.
pub(super) async fn swallow() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
    let address = listener.local_addr().context("a listener has an address")?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
            });
        }
    });
    Ok(address)
}

/// A file with noise at both ends and a hole between: reading it costs no disk, for nobody.
fn sparse(path: &Path, bytes: u64) -> Result<()> {
    let mut file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    let end = noise(7, 4096);
    file.write_all(&end).context("the document")?;
    file.set_len(bytes).context("the document")?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(4096))).context("the document")?;
    file.write_all(&end).context("the document")
}

fn describe(sheet: &mut Sheet, bytes: u64) {
    sheet.setting("document", format!("{} MiB", bytes >> 20));
    sheet.setting("over", "when leg two is durable: ours, when the event `job.spooled` comes");
    sheet.setting("RSS growth", "VmHWM over VmRSS before; the app is this process");
    sheet.setting(OURS, "broker and agent with a user's defaults: packets with checksums, acks that are durable, SHA-256 at both ends");
    sheet.setting(
        RELAY,
        "two processes, TLS 1.3, a file each, fdatasync each MiB, leg one before leg two, nothing else",
    );
}
