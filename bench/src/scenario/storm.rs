//! `storm`: the server is killed and started again, and everybody comes back at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use crate::goal::{Goal, Kind, Side};
use crate::peers::nats::Nats;
use crate::peers::tls::Certificates;
use crate::proc::cpu_s;
use crate::programs::Programs;
use crate::sessions::{Agents, Crowd, Host, NatsClients};
use crate::sheet::{OURS, Sheet};

const NATS: &str = "nats-server";
const CPU: &str = "server CPU a return";
const WALL: &str = "until the last has returned";
const FAILURES: &str = "failures";
const BEGUN: &str = "until all clients had begun";
/// Handshakes in flight.
const IN_FLIGHT: usize = 512;
/// All clients begin within this time: who has no turn yet waits for one.
const BEGIN_WITHIN_S: f64 = 1.0;

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let count = if programs.quick { 200 } else { 10_000 };
    let dir = programs.dir.path().join("storm");
    std::fs::create_dir_all(&dir).context("the folder")?;
    let tls = Certificates::make(&dir)?;
    sheet.setting(
        "clients",
        format!("{count}, all begun within {BEGIN_WITHIN_S} s, {IN_FLIGHT} handshakes in flight"),
    );
    sheet.setting(
        OURS,
        "broker with a user's defaults; each agent signs a dial token, shows its session token, is committed with a new \
         epoch, says hello and is welcome",
    );
    let mut ours = Arc::new(Agents::pair(&dir.join("inkwire"), count).await?);
    for round in 0..programs.rounds {
        turn(sheet, OURS, &mut ours, count).await?;
        let nats = dir.join(format!("nats{round}"));
        let (nats, websocket) = block_in_place(|| Nats::websocket(programs, &nats, &tls))?;
        sheet.setting(NATS, format!("{}, TLS WebSockets, no authentication, one subscription", nats.version));
        let mut theirs = Arc::new(NatsClients::new(nats, websocket, Arc::clone(&tls.client)));
        turn(sheet, NATS, &mut theirs, count).await?;
    }
    sheet.goal(CPU, Goal::ratio(Kind::Must, NATS, Side::AtMost, 0.65));
    sheet.goal(CPU, Goal::ratio(Kind::Aim, NATS, Side::AtMost, 0.4));
    sheet.goal(WALL, Goal::ratio(Kind::Must, NATS, Side::AtMost, 0.75));
    sheet.goal(FAILURES, Goal::ours(Kind::Must, Side::AtMost, 0.0));
    Ok(())
}

/// All connect in peace, the server is killed, all return.
async fn turn<H: Host>(
    sheet: &mut Sheet,
    subject: &'static str,
    host: &mut Arc<H>,
    count: usize,
) -> Result<()> {
    let before_the_kill = Crowd::connect(host, count).await.context(subject)?;
    let server = Arc::get_mut(host).context("somebody still holds the server")?;
    block_in_place(|| server.restart())?;
    drop(before_the_kill);
    let pid = server.pid();
    let before = cpu_s(&[pid])?;
    let began = Instant::now();
    let mut crowd = Crowd::new();
    let failures = crowd.storm(host, count, IN_FLIGHT).await;
    let wall = began.elapsed();
    let cpu = cpu_s(&[pid])? - before;
    if let Some(failure) = failures.first() {
        sheet.note(format!("{subject}: one could not return: {failure:#}"));
    }
    let returned = count - failures.len();
    sheet.add(CPU, "ms", subject, cpu / returned.max(1) as f64 * 1e3);
    sheet.add(WALL, "s", subject, wall.as_secs_f64());
    sheet.add(FAILURES, "", subject, failures.len() as f64);
    let begun = crowd.all_begun.as_secs_f64();
    sheet.add(BEGUN, "s", subject, begun);
    if begun > BEGIN_WITHIN_S {
        sheet.note(format!("{subject}: this machine took {begun:.2} s until all clients had begun"));
    }
    // Whoever was welcome and thrown out again has not returned.
    crowd.live(Duration::from_millis(500)).await.context(subject)
}
