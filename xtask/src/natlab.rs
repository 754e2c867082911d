//! `cargo xtask natlab`: the source's figure 1 in network namespaces.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::run::{Tool, cargo};

/// Build and run the NAT lab (needs root)
///
/// Everything after `natlab` goes to the lab's own binary; `cargo xtask natlab -- --help` lists it.
///
///   cargo xtask natlab                          every scenario but the five-minute one
///   cargo xtask natlab --full --json            all of them, one JSON line each
///   cargo xtask natlab address_change           one of them
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Arguments of the lab: [--json] [--full] [--quick] [SCENARIO ...]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    build()?;
    Tool::built("natlab")?.args(&args.rest).code()
}

/// The lab and the binary that it puts into its namespaces.
fn build() -> Result<()> {
    cargo([
        "build",
        "--package",
        "inkwire",
        "--package",
        "inkwire-tests",
        "--bin",
        "inkwire",
        "--bin",
        "natlab",
    ])
    .run()
}
