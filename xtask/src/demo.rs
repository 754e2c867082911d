//! `cargo xtask demo`: one document through a cut link and a changed address, on this machine.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::console;
use crate::run::{Tool, cargo};

/// Build `inkwire` and run `inkwire demo`
///
/// Everything after `demo` goes to `inkwire demo`.
///
///   cargo xtask demo                 stays up afterwards, to be played with
///   cargo xtask demo --once          ends with exit code 0 only if everything held
///   cargo xtask demo --once --json   one JSON object
///   cargo xtask demo --file big.pdf  another document
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Arguments of `inkwire demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    console::build_where_possible()?;
    cargo(["build", "--package", "inkwire"]).run()?;
    Tool::built("inkwire")?.arg("demo").args(&args.rest).code()
}
