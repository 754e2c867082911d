//! The NAT lab (`cargo xtask natlab`): the source's figure 1 in network namespaces, real processes, a silent router.
//!
//! ```text
//!  main ── scenario ── house (namespaces, router, line) ── actors (broker, agents, printers)
//!             │           └ wire (what passes)                └ app (submits, watches)
//!             └── measure ── verdict ── table or JSON lines
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for a terminal")]

mod clock;
mod hop;
mod house;
mod netns;
mod router;
mod selfcheck;
mod sys;
mod wire;

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Parser;

/// Documents through a silent NAT router: every scenario while documents are in flight and again while idle
///
///   natlab                               all scenarios but drop_5min
///   natlab --full --json                 all of them, one JSON line each
///   natlab address_change mapping_flush  only these
///   natlab --self-check                  is the lab itself what it says? (plain TCP, no Inkwire)
#[derive(Parser)]
#[command(name = "natlab", max_term_width = 110, verbatim_doc_comment)]
struct Args {
    /// Check the lab itself: silence, mappings, gaps, delay and loss
    #[arg(long)]
    self_check: bool,
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
    if !rustix::process::geteuid().is_root() {
        bail!(
            "network namespaces need root: run it as root (in CI and in containers: with CAP_SYS_ADMIN and CAP_NET_ADMIN)"
        );
    }
    netns::sweep(None).context("cannot remove what an earlier run left")?;
    clean_up_on_signals()?;
    if args.self_check {
        return Ok(self_check());
    }
    bail!("nothing to do")
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
