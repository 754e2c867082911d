//! `cargo xtask test`: everything that CI runs, stage by stage, with a table of times at the end.

mod api;
mod guards;
mod lab;
mod stages;
mod tally;
mod tools;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use stages::{STAGES, Stage};
pub(crate) use tally::Tally;

/// Run what CI runs
///
/// Stages run in order and all of them run, also after a failure; at the end stands a table of their times and the line
/// "N passed, N failed". The exit code is 0 only if nothing failed.
///
///   cargo xtask test                        everything (CI: .ci/run)
///   cargo xtask test --quick                the inner loop: fmt, clippy, fast tests
///   cargo xtask test --stage natlab         one stage (may be given several times)
///   cargo xtask test --list                 the stages
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only the inner loop
    #[arg(long, conflicts_with = "stage")]
    quick: bool,
    /// Only this stage
    #[arg(long, value_name = "NAME")]
    stage: Vec<String>,
    /// List the stages and do nothing
    #[arg(long)]
    list: bool,
    /// One JSON object at the end in place of the table: {stages: [{stage, seconds, passed, failed, not_run, detail}], passed, failed, not_run}
    #[arg(long)]
    json: bool,
}

/// How a stage went.
#[derive(Serialize)]
struct Row {
    stage: &'static str,
    seconds: f64,
    passed: u64,
    failed: u64,
    /// Left out, because they need root, or another compiler.
    not_run: u64,
    detail: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        STAGES.iter().for_each(|stage| println!("{:12} {}", stage.name, stage.what));
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = choose(args)?;
    let begun = Instant::now();
    let mut rows = Vec::new();
    // Installing waits for the network, compiling for the processors: the one runs beside the other.
    let mut beside = None;
    for stage in chosen {
        if stage.name == "tools" {
            beside = Some((stage, thread::spawn(|| perform(stage))));
            continue;
        }
        if stage.needs_tools
            && let Some((tools, thread)) = beside.take()
        {
            rows.push(joined(tools, thread));
        }
        rows.push(perform(stage));
    }
    if let Some((tools, thread)) = beside {
        rows.push(joined(tools, thread));
    }
    conclude(args.json, &rows, begun.elapsed())
}

fn joined(stage: &Stage, thread: thread::JoinHandle<Row>) -> Row {
    thread.join().unwrap_or_else(|_| row(stage, Duration::ZERO, Err(anyhow!("the stage panicked"))))
}

fn choose(args: &Args) -> Result<Vec<&'static Stage>> {
    if let Some(unknown) = args.stage.iter().find(|name| !STAGES.iter().any(|stage| stage.name == **name)) {
        let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
        bail!("there is no stage {unknown}; there are: {}", names.join(", "));
    }
    let wanted = |stage: &&Stage| match (args.quick, args.stage.is_empty()) {
        (true, _) => stage.quick,
        (false, true) => stage.by_default,
        (false, false) => args.stage.iter().any(|name| name == stage.name),
    };
    Ok(STAGES.iter().filter(wanted).collect())
}

fn perform(stage: &'static Stage) -> Row {
    println!("\n── {} ── {}", stage.name, stage.what);
    let begun = Instant::now();
    let result = (stage.run)();
    if let Err(error) = &result {
        eprintln!("{}: {error:#}", stage.name);
    }
    row(stage, begun.elapsed(), result)
}

fn row(stage: &Stage, took: Duration, result: Result<Tally>) -> Row {
    let (tally, detail) = match result {
        Ok(tally) => (tally, String::new()),
        Err(error) => (Tally::FAILED, format!("{error:#}")),
    };
    let Tally { passed, failed, not_run } = tally;
    Row { stage: stage.name, seconds: took.as_secs_f64(), passed, failed, not_run, detail }
}

fn conclude(json: bool, rows: &[Row], took: Duration) -> Result<ExitCode> {
    let passed: u64 = rows.iter().map(|row| row.passed).sum();
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    let not_run: u64 = rows.iter().map(|row| row.not_run).sum();
    if json {
        let all =
            serde_json::json!({ "stages": rows, "passed": passed, "failed": failed, "not_run": not_run });
        println!("{all}");
    } else {
        println!("\n{:12} {:>8} {:>7} {:>7} {:>7}", "stage", "seconds", "passed", "failed", "not run");
        for row in rows {
            let Row { stage, seconds, passed, failed, not_run, detail } = row;
            println!("{stage:12} {seconds:>8.1} {passed:>7} {failed:>7} {not_run:>7}  {detail}");
        }
        println!("{:12} {:>8.1}", "in all", took.as_secs_f64());
    }
    if not_run > 0 {
        println!("{not_run} tests were not run: they need root, or the compiler of bench/instructions.toml");
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
