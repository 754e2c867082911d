//! The stages, each a function. Cold on two processors all of them together must end within 90 minutes.

use anyhow::{Context, Result, bail};

use super::api;
use super::guards;
use super::lab;
use super::tally::Tally;
use super::tools;
use crate::bench;
use crate::console;
use crate::fuzz;
use crate::instructions;
use crate::mutants;
use crate::run::{Stream, Tool, cargo, found};
use crate::sim;
use crate::supply;

/// One stage.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether it belongs to the inner loop.
    pub(super) quick: bool,
    /// Whether it runs when nothing is chosen.
    pub(super) by_default: bool,
    /// Whether `tools` must have ended before.
    pub(super) needs_tools: bool,
    pub(super) run: fn() -> Result<Tally>,
}

impl Stage {
    const fn new(name: &'static str, what: &'static str, run: fn() -> Result<Tally>) -> Self {
        Self { name, what, quick: false, by_default: true, needs_tools: false, run }
    }

    const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    const fn needs_tools(self) -> Self {
        Self { needs_tools: true, ..self }
    }

    const fn on_request(self) -> Self {
        Self { by_default: false, ..self }
    }
}

pub(super) const STAGES: &[Stage] = &[
    Stage::new("tools", "the Debian packages that tests need (installed, as root)", tools::stage),
    Stage::new("fmt", "cargo fmt --check", fmt).quick(),
    Stage::new("clippy", "cargo clippy -D warnings", clippy).quick(),
    Stage::new("fast", "unit tests and the architecture's (the inner loop)", fast).quick().on_request(),
    Stage::new("build", "the binaries that the tests run", build),
    Stage::new("deny", "bans, licences and sources of all dependencies", deny),
    Stage::new("tests", "unit, pair, attack and end-to-end tests", tests).needs_tools(),
    Stage::new("doc", "doc tests", doc),
    Stage::new("mutants", "deliberate defects in the protocol, each found by its test", protocol_mutants),
    Stage::new(
        "sim",
        "200 seeds of broker and agents in one thread, then rules broken on purpose",
        simulation,
    )
    .on_request(),
    Stage::new("fuzz", "parsers and rules given whatever bytes, 10 s each (nightly)", fuzzing).on_request(),
    Stage::new("console", "the web console: types, rules, and a browser against a real broker", console)
        .needs_tools(),
    Stage::new("demo", "inkwire demo --once --json, its object checked", demo).needs_tools(),
    Stage::new("api", "the API against its OpenAPI document, docs/api.md and the metrics played", api::stage)
        .needs_tools(),
    Stage::new("examples", "docs/integrate.md followed literally; examples/ run", api::examples)
        .needs_tools(),
    Stage::new("crash", "kill -9 of real broker and agent processes", crash).needs_tools(),
    Stage::new("bench", "the bench's quick set: it runs, and counted figures have not grown", bench)
        .needs_tools()
        .on_request(),
    Stage::new("instructions", "instructions of the hot paths, within 10 % of what was recorded", counted)
        .needs_tools(),
    Stage::new("natlab", "the NAT lab (its quick set)", lab).needs_tools(),
];

fn fmt() -> Result<Tally> {
    cargo(["fmt", "--all", "--check"]).run().map(|()| Tally::PASSED)
}

fn clippy() -> Result<Tally> {
    cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
        .run()
        .map(|()| Tally::PASSED)
}

fn build() -> Result<Tally> {
    build_all().map(|()| Tally::PASSED)
}

/// Always the whole workspace with all targets: another choice of packages has other features, and builds its libraries anew.
pub(super) fn build_all() -> Result<()> {
    cargo(["build", "--workspace", "--all-targets"]).run()
}

fn deny() -> Result<Tally> {
    if found("cargo-deny") {
        return cargo(["deny", "check", "bans", "licenses", "sources"]).run().map(|()| Tally::PASSED);
    }
    println!(
        "cargo-deny is not installed: deny.toml's bans, licences and sources are checked by xtask itself"
    );
    let report = supply::check()?;
    if !report.problems.is_empty() {
        bail!("{}", report.problems.join("; "));
    }
    println!("{} packages by the rules", report.checked);
    Ok(Tally::PASSED)
}

/// Runs tests whose names do (or do not) begin with `crash::`, by nextest where it is installed.
fn run_tests(packages: &[&str], crash: bool) -> Result<Tally> {
    // The binaries that tests start are not built by the tests' own package.
    build_all()?;
    // Tests that are ignored otherwise need root, and nothing else.
    let root = is_root()?;
    if found("cargo-nextest") {
        let filter = if crash { "test(/^crash::/)" } else { "not test(/^crash::/)" };
        let which = if root { "all" } else { "default" };
        let run = cargo(["nextest", "run", "--no-fail-fast", "-E", filter, "--run-ignored", which]);
        let (well, output) = run.args(packages).watch(Stream::Err)?;
        let not_run = if root { 0 } else { left_out(packages, filter)? };
        return Ok(Tally { not_run, ..Tally::of_tests(&output) }.ended(well));
    }
    let filter: &[&str] = if crash { &["--", "crash::"] } else { &["--", "--skip", "crash::"] };
    let what: &[&str] = if crash { &["--test", "all"] } else { &["--all-targets"] };
    let rooted: &[&str] = if root { &["--include-ignored"] } else { &[] };
    let run = cargo(["test", "--no-fail-fast"]).args(packages).args(what).args(filter).args(rooted);
    let (well, output) = run.watch(Stream::Out)?;
    Ok(Tally::of_tests(&output).ended(well))
}

fn is_root() -> Result<bool> {
    Ok(Tool::new("id").arg("-u").output()?.trim() == "0")
}

/// How many tests of the filter only root can run.
fn left_out(packages: &[&str], filter: &str) -> Result<u64> {
    let list = cargo(["nextest", "list", "-E", filter, "--run-ignored", "only", "--message-format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&list.args(packages).output()?)
        .context("cargo nextest list did not print one JSON object")?;
    let suites = listed.get("rust-suites").and_then(serde_json::Value::as_object);
    let cases = suites.into_iter().flatten().filter_map(|(_, suite)| suite.get("testcases")?.as_object());
    let chosen = cases.flatten().filter(|(_, case)| {
        case.pointer("/filter-match/status").and_then(serde_json::Value::as_str) == Some("matches")
    });
    Ok(chosen.count() as u64)
}

fn fast() -> Result<Tally> {
    run_tests(&["--workspace", "--lib", "--bins", "--test", "all"], false)
}

fn tests() -> Result<Tally> {
    run_tests(&["--workspace"], false)
}

fn doc() -> Result<Tally> {
    let (well, output) = cargo(["test", "--workspace", "--doc", "--no-fail-fast"]).watch(Stream::Out)?;
    Ok(Tally::of_tests(&output).ended(well))
}

fn simulation() -> Result<Tally> {
    build_all()?;
    let (passed, failed) = sim::stage()?;
    Ok(Tally { passed, failed, not_run: 0 })
}

/// The others take a build of broker and agent each: by hand, `cargo xtask mutants`.
fn protocol_mutants() -> Result<Tally> {
    let (passed, failed) = mutants::of_package("inkwire-protocol")?;
    Ok(Tally { passed, failed, not_run: 0 })
}

fn fuzzing() -> Result<Tally> {
    match fuzz::all(10)? {
        Some((passed, failed)) => Ok(Tally { passed, failed, not_run: 0 }),
        None => {
            println!("fuzz: not checked: needs nightly (rustup toolchain install nightly)");
            Ok(Tally { passed: 0, failed: 0, not_run: 0 })
        }
    }
}

fn crash() -> Result<Tally> {
    run_tests(&["--workspace"], true)
}

/// Small sizes of every scenario, all at the same time: what is counted is not changed by it, and much of it waits.
fn bench() -> Result<Tally> {
    build_all()?;
    let (well, output) = bench::bench(true)?.args(["--quick", "--together", "--json"]).watch(Stream::Out)?;
    let (tally, failures) = guards::hold(&output);
    failures.iter().for_each(|failure| eprintln!("bench: {failure}"));
    Ok(tally.ended(well))
}

fn counted() -> Result<Tally> {
    build_all()?;
    instructions::compare()
}

/// Times on a shared machine are noisy: a scenario in which only a time was missed is played once more, and both are
/// printed. One in which a document was lost, damaged or doubled never is.
fn lab() -> Result<Tally> {
    build_all()?;
    let play = |scenarios: &[String]| {
        Tool::built("natlab")?.args(["--json", "--quick"]).args(scenarios).watch(Stream::Out)
    };
    let (well, output) = play(&[])?;
    let first = Tally::of_json_lines(&output).ended(well);
    let late = match lab::missed(&output) {
        lab::Missed::Times(scenarios) => scenarios,
        lab::Missed::Nothing | lab::Missed::Truth => return Ok(first),
    };
    println!("only times were missed, so these are played once more: {}", late.join(", "));
    let (well, output) = play(&late)?;
    let second = Tally::of_json_lines(&output).ended(well);
    // Both runs of a late scenario, busy and idle, were played again.
    let kept = first.passed + first.failed - 2 * late.len() as u64;
    Ok(Tally { passed: kept + second.passed, failed: second.failed, not_run: 0 })
}

/// Types and rules first, which need no browser; then the built console end to end.
fn console() -> Result<Tally> {
    console::install()?;
    console::npm(&["run", "--silent", "check"]).run()?;
    let vitest = |script: &str| {
        let run = console::npm(&["run", "--silent", script]).env("NO_COLOR", "1").watch(Stream::Out)?;
        Ok::<_, anyhow::Error>(Tally::of_vitest(&run.1).ended(run.0))
    };
    let rules = vitest("test")?;
    console::build()?;
    build_all()?;
    Ok(Tally::PASSED.plus(rules).plus(vitest("e2e")?))
}

/// The demo's exit code says that everything held; its object must say the same.
fn demo() -> Result<Tally> {
    let output = Tool::built("inkwire")?.args(["demo", "--once", "--json"]).output()?;
    println!("{}", output.trim_end());
    let object: serde_json::Value =
        serde_json::from_str(&output).context("the demo did not print one JSON object")?;
    let at = |pointer: &str| object.pointer(pointer).with_context(|| format!("the object has no {pointer}"));
    let number = |pointer: &str| at(pointer)?.as_u64().with_context(|| format!("{pointer} is not a number"));
    if at("/document/sha256")? != at("/printed/sha256")? {
        bail!("what was printed is not what was submitted");
    }
    if number("/printed/copies")? != 1 {
        bail!("printed {} times", number("/printed/copies")?);
    }
    if number("/packets/sent_twice")? > number("/packets/window")? {
        bail!("more than one window was sent twice");
    }
    let endpoints = at("/endpoints")?.as_array().map_or(0, Vec::len);
    if endpoints < 2 {
        bail!("the address did not change: {endpoints} endpoints");
    }
    if at("/job/state")? != "completed" {
        bail!("the job ended {}", at("/job/state")?);
    }
    Ok(Tally::PASSED)
}
