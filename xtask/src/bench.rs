//! `cargo xtask bench`: the same work for us and for our peers, in one run.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::python::python;
use crate::run::{Tool, cargo, root};

/// Measure us and our peers (bench/README.md)
///
/// Builds the release binaries, installs nats-server under target/python, then runs the bench's own binary, which takes
/// everything after `bench`; `cargo xtask bench -- --help` lists it. Debian's packages come with `cargo xtask test --stage tools`.
///
///   cargo xtask bench                           every scenario
///   cargo xtask bench labels --json             one of them, one JSON line a figure
///   cargo xtask bench --dev --quick             the dev profile and small sizes: to try the bench itself
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The dev profile's binaries: their figures mean nothing
    #[arg(long)]
    dev: bool,
    /// Arguments of the bench: [SCENARIO ...] [--json] [--quick] [--rounds N] [--list]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // `--dev` may stand anywhere.
    let (dev, rest): (Vec<_>, Vec<_>) = args.rest.iter().partition(|arg| *arg == "--dev");
    let dev = args.dev || !dev.is_empty();
    build(dev)?;
    bench(dev)?.args(rest).code()
}

/// The product is built alone, as its package is: with nobody else's features.
fn build(dev: bool) -> Result<()> {
    if dev {
        return cargo(["build", "--workspace", "--bin", "inkwire", "--bin", "inkwire-bench"]).run();
    }
    cargo(["build", "--release", "--package", "inkwire"]).run()?;
    cargo(["build", "--release", "--package", "inkwire-bench"]).run()
}

/// The bench's binary, with what it needs; it must have been built.
pub(crate) fn bench(dev: bool) -> Result<Tool> {
    let nats = python()?.with_file_name("nats-server");
    let binaries = root().join("target").join(if dev { "debug" } else { "release" });
    Ok(Tool::new(binaries.join("inkwire-bench"))
        .env("INKWIRE_BIN", binaries.join("inkwire"))
        .arg("--nats-server")
        .arg(nats))
}
