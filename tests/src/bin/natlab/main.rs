//! The NAT lab (`cargo xtask natlab`): the source's figure 1 in network namespaces, real processes, a silent router.
//!
//! ```text
//!  main ── play ─┬─ scenario   what happens to the link, and within what it must be over
//!                ├─ house      namespaces, router, line (a cable, or a hop of two TUN devices)
//!                ├─ site       broker, agents, printers, app: real processes inside the house
//!                ├─ load       documents on their way, and what came out
//!                ├─ wire, sent what passed on the LAN, and which packets the broker sent
//!                └─ verdict    table or JSON lines
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for a terminal")]

mod app;
mod clock;
mod house;
mod ipp;
mod load;
mod play;
mod router;
mod scenario;
mod selfcheck;
mod site;
mod urf;
mod verdict;
mod wire;

use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use inkwire_tests::net::{netns, sys};

use play::Plan;
use scenario::{SCENARIOS, Scenario};
use verdict::Measured;

/// Documents through a silent NAT router: every scenario while documents are in flight and again while idle
///
///   natlab                               all scenarios but drop_5min
///   natlab --full --json                 all of them, one JSON line each
///   natlab address_change mapping_flush  only these
///   natlab --self-check                  is the lab itself what it says? (plain TCP, no Inkwire)
#[derive(Parser)]
#[command(name = "natlab", max_term_width = 110, verbatim_doc_comment)]
struct Args {
    /// Only these scenarios
    #[arg(value_name = "SCENARIO", value_parser = known)]
    scenarios: Vec<String>,
    /// One JSON line a run: {scenario, idle, documents, intact, printed_once, uncertain, sent_twice_max, window,
    /// endpoint_updated, detected_ms, link_back_to_packet_ms, submit_to_packet_ms, ok}; not applicable = null
    #[arg(long)]
    json: bool,
    /// Also drop_5min
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// For CI: the agents report every 10 s in place of 25, and what crosses the line with loss is 10 windows long, not 20
    #[arg(long)]
    quick: bool,
    /// List the scenarios and do nothing
    #[arg(long)]
    list: bool,
    /// Check the lab itself: silence, mappings, gaps, delay and loss
    #[arg(long)]
    self_check: bool,
    /// Keep logs and what was printed of scenarios that failed in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn known(name: &str) -> Result<String, String> {
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    if names.contains(&name) { Ok(name.to_owned()) } else { Err(format!("there are: {}", names.join(", "))) }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("natlab: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    if args.list {
        SCENARIOS.iter().for_each(|scenario| println!("{}", scenario.name));
        return Ok(true);
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "network namespaces need root: run it as root (in a container: with CAP_SYS_ADMIN and CAP_NET_ADMIN)"
        );
    }
    netns::sweep(None).context("cannot remove what an earlier run left")?;
    clean_up_on_signals()?;
    if args.self_check {
        return Ok(self_check());
    }
    let wanted = |scenario: &&Scenario| match args.scenarios.is_empty() {
        true => args.full || !scenario.long,
        false => args.scenarios.iter().any(|name| name == scenario.name),
    };
    let mut rows = Vec::new();
    for scenario in SCENARIOS.iter().filter(wanted) {
        rows.extend(one(scenario, args)?);
    }
    if !args.json {
        print!("\n{}", verdict::table(&rows));
    }
    Ok(!rows.is_empty() && rows.iter().all(|row| row.ok))
}

/// Both runs of a scenario; one that cannot be played to its end counts as two that failed.
fn one(scenario: &Scenario, args: &Args) -> Result<Vec<Measured>> {
    let plan = Plan {
        windows: 20,
        windows_with_loss: if args.quick { 10 } else { 20 },
        report_interval: Duration::from_secs(if args.quick { 10 } else { 25 }),
    };
    let stem = netns::stem();
    let dir = std::env::temp_dir().join(&stem);
    std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let played = panic::catch_unwind(panic::AssertUnwindSafe(|| play::play(scenario, plan, &stem, &dir)));
    let runs = played.unwrap_or_else(|_| Err(anyhow!("see above"))).unwrap_or_else(|error| {
        let failed = |idle| Measured { scenario: scenario.name.to_owned(), idle, ..Measured::default() };
        vec![
            (failed(false), vec![format!("not played: {error:#}")]),
            (failed(true), vec!["not played".into()]),
        ]
    });
    let mut rows = Vec::new();
    for (row, problems) in runs {
        let name = if row.idle { "idle" } else { "busy" };
        problems.iter().for_each(|problem| eprintln!("natlab: {} {name}: {problem}", scenario.name));
        if args.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            println!("{} {name}: {}", scenario.name, if row.ok { "ok" } else { "FAILED" });
        }
        rows.push(row);
    }
    if let (Some(keep), false) = (&args.keep, rows.iter().all(|row| row.ok)) {
        let kept = keep.join(scenario.name);
        sys::run("cp", ["-r".as_ref(), dir.as_os_str(), kept.as_os_str()])?;
        eprintln!("natlab: {}: logs are in {}", scenario.name, kept.display());
    }
    std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    Ok(rows)
}

fn self_check() -> bool {
    let mut all = true;
    for check in selfcheck::CHECKS {
        let result = (check.run)(&netns::stem());
        all &= result.is_ok();
        match result {
            Ok(()) => println!("{:40} ok", check.name),
            Err(error) => println!("{:40} FAILED: {error:#}", check.name),
        }
    }
    all
}

/// Ctrl-C and SIGTERM leave nothing behind either.
fn clean_up_on_signals() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        });
        if let Err(error) = netns::sweep(Some(std::process::id())) {
            eprintln!("natlab: cannot clean up: {error:#}");
        }
        std::process::exit(130);
    })?;
    Ok(())
}
