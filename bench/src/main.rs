//! The same work for us and for what a user would take instead, in turn, in one run on one machine.
//!
//! ```text
//!  scenario ── starts ── inkwire broker, agents    a user's defaults
//!     │           └───── peers' real servers       bench/peers
//!     └─ load: A B A B ... ──▶ sheet ──▶ medians, spread, ratios, goals ──▶ table | JSON lines
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for a terminal")]

mod agent;
mod backlog;
mod device;
mod everybody;
mod flushes;
mod followers;
mod goal;
mod line;
mod load;
mod ours;
mod peers;
mod place;
mod plot;
mod plots;
mod proc;
mod programs;
mod report;
mod resumed;
mod scenario;
mod sessions;
mod sheet;
mod stats;
mod ways;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use peers::relay;
use programs::Programs;
use scenario::{SCENARIOS, Scenario};
use sheet::Sheet;

/// Rounds of a full run; odd, so that the median is one of them.
const ROUNDS: usize = 5;

/// The same work for us and for our peers; `cargo xtask bench` builds and installs what it needs
#[derive(Parser)]
#[command(name = "inkwire-bench", max_term_width = 110)]
struct Cli {
    /// Which scenarios; all without a name
    scenarios: Vec<String>,
    /// One JSON line a figure in place of tables
    #[arg(long)]
    json: bool,
    /// Small sizes and one round: a few seconds a scenario
    #[arg(long)]
    quick: bool,
    /// How often everybody has a turn [default: 5, with --quick 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// The nats-server that is measured
    #[arg(long, default_value = "target/python/bin/nats-server")]
    nats_server: PathBuf,
    /// Where servers keep their data; a disk, as syncing is part of the work
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// All scenarios at the same time: a test of what is counted, for times it is useless
    #[arg(long, requires = "quick")]
    together: bool,
    /// Draw charts of the figures into this folder (SVG)
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Measure nothing: take the figures from these saved JSON lines
    #[arg(long, value_name = "FILE", requires = "plots", conflicts_with = "scenarios")]
    from: Option<PathBuf>,
    /// List the scenarios and do nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    relay: relay::Options,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if cli.list {
        SCENARIOS.iter().for_each(|scenario| println!("{:10} {}", scenario.name, scenario.what));
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(from), Some(plots)) = (&cli.from, &cli.plots) {
        let saved = std::fs::read_to_string(from).with_context(|| from.display().to_string())?;
        let figures: Vec<_> = saved.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        draw(&figures, plots)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(listen) = cli.relay.relay {
        return relay::serve(&cli.relay, listen).await.map(|()| ExitCode::SUCCESS);
    }
    // Whoever interrupts it gets what runs ended and what lies about removed, too.
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    tokio::select! {
        done = all(&cli) => done,
        _ = terminate.recv() => bail!("terminated"),
        interrupt = tokio::signal::ctrl_c() => {
            interrupt.context("the interrupt")?;
            bail!("interrupted");
        }
    }
}

async fn all(cli: &Cli) -> Result<ExitCode> {
    proc::raise_open_files()?;
    let chosen = choose(&cli.scenarios)?;
    std::fs::create_dir_all(&cli.dir).with_context(|| cli.dir.display().to_string())?;
    let dir = cli.dir.canonicalize().context("the folder")?;
    let programs = Programs {
        nats: cli.nats_server.canonicalize().with_context(|| {
            format!("{} is not there; `cargo xtask bench` installs it", cli.nats_server.display())
        })?,
        quick: cli.quick,
        rounds: cli.rounds.unwrap_or(if cli.quick { 1 } else { ROUNDS }).max(1),
        dir: tempfile::Builder::new().prefix("run.").tempdir_in(&dir).context("the folder")?,
    };
    let (mut missed, mut figures) = (false, Vec::new());
    if cli.together {
        try_join_all(chosen.into_iter().map(|scenario| one(scenario, &programs, cli.json))).await?;
        return Ok(ExitCode::SUCCESS);
    }
    for scenario in chosen {
        let (measured, one_missed) = one(scenario, &programs, cli.json).await?;
        figures.extend(measured);
        missed |= one_missed;
    }
    if let Some(plots) = &cli.plots {
        draw(&figures, plots)?;
    }
    Ok(if missed && !cli.quick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn draw(figures: &[Value], dir: &Path) -> Result<()> {
    let written = plots::draw(figures, dir)?;
    ensure!(!written.is_empty(), "nothing of these figures can be drawn");
    written.iter().for_each(|file| eprintln!("{} is drawn", dir.join(file).display()));
    Ok(())
}

/// Runs a scenario and prints what it gave: its figures, and whether a must was missed.
async fn one(scenario: &Scenario, programs: &Programs, json: bool) -> Result<(Vec<Value>, bool)> {
    let began = Instant::now();
    let mut sheet = Sheet::new(scenario.name);
    sheet.setting("rounds", programs.rounds);
    (scenario.run)(programs, &mut sheet).await.with_context(|| scenario.name)?;
    let figures = sheet.figures();
    let values = figures.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let values = values.context("figures as JSON")?;
    if json {
        values.iter().for_each(|figure| println!("{figure}"));
        sheet.notes().iter().for_each(|note| eprintln!("{}: {note}", scenario.name));
        eprintln!("{}: {:.1} s", scenario.name, began.elapsed().as_secs_f64());
    } else {
        println!("── {} ── {}\n{}", scenario.name, scenario.what, report::table(&sheet));
    }
    let mut goals = figures.iter().flat_map(|figure| &figure.goals);
    let missed = goals.any(|goal| goal.kind == goal::Kind::Must && goal.met == Some(false));
    Ok((values, missed))
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(unknown) = names.iter().find(|name| !SCENARIOS.iter().any(|it| it.name == **name)) {
        let all: Vec<_> = SCENARIOS.iter().map(|it| it.name).collect();
        bail!("there is no scenario {unknown}; there are: {}", all.join(", "));
    }
    Ok(SCENARIOS.iter().filter(|it| names.is_empty() || names.iter().any(|name| name == it.name)).collect())
}
