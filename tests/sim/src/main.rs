//! `cargo xtask sim` runs this.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use inkwire_sim::{Story, finds, mutant, play, shrink, tell};

/// Play seeds until one fails, or all of them hold.
#[derive(Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this one, told step by step.
    #[arg(long)]
    seed: Option<u64>,
    /// A story from a file, told step by step.
    #[arg(long)]
    story: Option<std::path::PathBuf>,
    /// Break rules on purpose, one after the other: each has to be found within so many seeds.
    #[arg(long)]
    mutants: bool,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(path) = &args.story {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        return Ok(told(&serde_json::from_str(&text).with_context(|| path.display().to_string())?));
    }
    if let Some(seed) = args.seed {
        return Ok(told(&Story::of(seed)));
    }
    if args.mutants {
        return Ok(broken(args.seeds));
    }
    many(&args)
}

/// Plays every mutant until it is found.
fn broken(seeds: u64) -> ExitCode {
    let mut survived = 0;
    for (name, what) in mutant::all() {
        match finds(name, seeds) {
            Some((seed, rule)) => println!("{name:32} found by seed {seed} ({rule}): {what}"),
            None => {
                println!("{name:32} SURVIVED {seeds} seeds: {what}");
                survived += 1;
            }
        }
    }
    println!("mutants: {} found, {survived} survived", mutant::all().count() - survived);
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(story: &Story) -> ExitCode {
    let verdict = tell(story);
    verdict.lines.iter().for_each(|line| println!("{line}"));
    match verdict.broken() {
        Some((rule, what)) => {
            println!("broken: {rule}: {what}");
            ExitCode::FAILURE
        }
        None => {
            println!(
                "holds: {} jobs, {} packets, {:.0} virtual s",
                verdict.jobs, verdict.packets, verdict.seconds
            );
            ExitCode::SUCCESS
        }
    }
}

fn many(args: &Args) -> Result<ExitCode> {
    let began = Instant::now();
    let (next, end) = (AtomicU64::new(args.from), args.from + args.seeds);
    let totals: [AtomicU64; 4] = Default::default();
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let verdict = play(&Story::of(seed));
                    for (total, more) in totals.iter().zip([
                        verdict.jobs,
                        verdict.packets,
                        verdict.facts,
                        verdict.seconds as u64,
                    ]) {
                        total.fetch_add(more, Ordering::Relaxed);
                    }
                    if let Some((rule, what)) = verdict.broken() {
                        println!("seed {seed}: {rule}: {what}");
                        if let Ok(mut failed) = failed.lock() {
                            failed.push(seed);
                        }
                    }
                }
            });
        }
    });
    let [jobs, packets, facts, virtual_s] = totals.map(AtomicU64::into_inner);
    let took = began.elapsed().as_secs_f64();
    let failed = failed.into_inner().unwrap_or_default();
    println!(
        "seeds {} to {}: {} held, {} failed; {jobs} jobs, {packets} packets, {facts} facts, {virtual_s} virtual s in {took:.1} s",
        args.from,
        end - 1,
        args.seeds - failed.len() as u64,
        failed.len(),
    );
    let Some(&first) = failed.iter().min() else { return Ok(ExitCode::SUCCESS) };
    let (story, verdict) = shrink(&Story::of(first), 200, play);
    println!("seed {first}, made short ({:?}):\n{}", verdict.broken(), serde_json::to_string(&story)?);
    Ok(ExitCode::FAILURE)
}
