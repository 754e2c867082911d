//! `sessions`: resident memory and processor time of idle sessions, fresh, and again after each took a document.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use crate::goal::{Goal, Kind, Side};
use crate::peers::mosquitto::Mosquitto;
use crate::peers::nats::Nats;
use crate::peers::tls::Certificates;
use crate::proc::{cpu_s, rss_bytes};
use crate::programs::Programs;
use crate::sessions::{Agents, Crowd, DOCUMENT_BYTES, Host, MqttClients, NatsClients, SIGN_OF_LIFE};
use crate::sheet::{OURS, Sheet};

const NATS: &str = "nats-server";
const MOSQUITTO: &str = "mosquitto";

const FRESH: &str = "RSS a session, fresh";
const AFTER: &str = "RSS a session, a minute after a document";
const IDLE_CPU: &str = "idle CPU, of a core";
const GROWTH: &str = "RSS growth";
const FURTHER: &str = "RSS a further session";
const CONNECT_CPU: &str = "server CPU a connect";

/// What connecting took has been given back by then, as far as it is given back at once.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// How much of everything.
struct Size {
    sessions: usize,
    /// Memory is looked at on the way, too.
    on_the_way: &'static [usize],
    idle: Duration,
    /// Turns of everybody at most: each takes minutes, and memory hardly differs between them.
    rounds: usize,
}

const FULL: Size =
    Size { sessions: 10_000, on_the_way: &[1000, 2000, 5000], idle: Duration::from_secs(60), rounds: 3 };
const QUICK: Size = Size { sessions: 600, on_the_way: &[100, 300], idle: Duration::from_secs(2), rounds: 1 };

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let size = if programs.quick { &QUICK } else { &FULL };
    let dir = programs.dir.path().join("sessions");
    std::fs::create_dir_all(&dir).context("the folder")?;
    let tls = Certificates::make(&dir)?;
    let rounds = programs.rounds.min(size.rounds);
    describe(sheet, size, rounds);
    for round in 0..rounds {
        let dir = dir.join(round.to_string());
        // Every turn has a fresh process; only one of them holds its thousands of sockets at a time.
        let ours = Arc::new(Agents::pair(&dir.join("inkwire"), size.sessions).await?);
        turn(sheet, OURS, &ours, size).await.context(OURS)?;
        drop(ours);
        turn_of_nats(programs, sheet, size, &dir, &tls).await.context(NATS)?;
        let mosquitto = block_in_place(|| Mosquitto::start(&dir.join("mosquitto"), &tls))?;
        sheet.setting(MOSQUITTO, format!("{}, TLS WebSockets, MQTT 3.1.1, QoS 1", mosquitto.version));
        let clients = Arc::new(MqttClients::new(mosquitto, Arc::clone(&tls.client)));
        turn(sheet, MOSQUITTO, &clients, size).await.context(MOSQUITTO)?;
    }
    goals(sheet);
    Ok(())
}

async fn turn_of_nats(
    programs: &Programs,
    sheet: &mut Sheet,
    size: &Size,
    dir: &Path,
    tls: &Certificates,
) -> Result<()> {
    let (nats, websocket) = block_in_place(|| Nats::websocket(programs, &dir.join("nats"), tls))?;
    sheet.setting(NATS, format!("{}, TLS WebSockets", nats.version));
    let clients = Arc::new(NatsClients::new(nats, websocket, Arc::clone(&tls.client)));
    turn(sheet, NATS, &clients, size).await
}

/// Connects, rests, measures; gives everybody a document, rests, measures.
async fn turn<H: Host>(sheet: &mut Sheet, subject: &'static str, host: &Arc<H>, size: &Size) -> Result<()> {
    let pid = host.pid();
    let (empty, cpu_empty) = (rss_bytes(pid)?, cpu_s(&[pid])?);
    let mut crowd = Crowd::new();
    let mut growth = |sessions: usize| -> Result<u64> {
        let bytes = rss_bytes(pid)?.saturating_sub(empty);
        sheet.add(&format!("{GROWTH}, {sessions} sessions"), "MB", subject, bytes as f64 / 1e6);
        Ok(bytes)
    };
    let mut before = (0, 0);
    for &sessions in size.on_the_way {
        crowd.grow(host, sessions).await?;
        crowd.live(SETTLED_AFTER).await?;
        before = (sessions, growth(sessions)?);
    }
    crowd.grow(host, size.sessions).await?;
    let cpu_connected = cpu_s(&[pid])?;
    let began = Instant::now();
    crowd.live(size.idle).await?;
    let idle_cpu = (cpu_s(&[pid])? - cpu_connected) / began.elapsed().as_secs_f64();
    let each = |bytes: u64| bytes as f64 / size.sessions as f64 / 1000.0;
    let fresh = growth(size.sessions)?;
    let further = fresh.saturating_sub(before.1) as f64 / (size.sessions - before.0) as f64;
    sheet.add(FRESH, "KB", subject, each(fresh));
    sheet.add(FURTHER, "KB", subject, further / 1000.0);
    crowd.take_documents(host).await?;
    crowd.live(size.idle).await?;
    sheet.add(AFTER, "KB", subject, each(rss_bytes(pid)?.saturating_sub(empty)));
    sheet.add(IDLE_CPU, "", subject, idle_cpu);
    let connect_ms = (cpu_connected - cpu_empty) / size.sessions as f64 * 1e3;
    sheet.add(CONNECT_CPU, "ms", subject, connect_ms);
    Ok(())
}

fn goals(sheet: &mut Sheet) {
    for (figure, must, aim) in [(FRESH, 14.0, Some(12.0)), (AFTER, 20.0, None)] {
        sheet.goal(figure, Goal::ours(Kind::Must, Side::AtMost, must));
        sheet.goal(figure, Goal::ratio(Kind::Must, MOSQUITTO, Side::AtMost, 0.7));
        sheet.goal(figure, Goal::ratio(Kind::Must, NATS, Side::AtMost, 0.25));
        if let Some(aim) = aim {
            sheet.goal(figure, Goal::ours(Kind::Aim, Side::AtMost, aim));
        }
    }
    sheet.goal(IDLE_CPU, Goal::ours(Kind::Must, Side::AtMost, 0.02));
}

fn describe(sheet: &mut Sheet, size: &Size, rounds: usize) {
    sheet.setting("rounds", rounds);
    sheet.setting("sessions", size.sessions);
    sheet.setting("rest before each look", format!("{:?}", size.idle));
    sheet.setting("document", format!("{DOCUMENT_BYTES} bytes to each"));
    sheet.setting("sign of life", format!("every {SIGN_OF_LIFE:?}, spread"));
    sheet.setting(
        "RSS",
        "growth of VmRSS over the fresh process, divided by the sessions; a further session: the growth since the last look on \
         the way, divided by the sessions since; 1 KB is 1,000 bytes",
    );
    sheet.setting(
        OURS,
        "broker with a user's defaults, agents authenticated by device key, two printers each; the document goes \
         through store, delivery, acks and facts",
    );
}
