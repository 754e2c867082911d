//! `cargo xtask deny`: what may be built in, by deny.toml.

use std::process::ExitCode;

use anyhow::Result;

use crate::run::{cargo, found};
use crate::supply;

/// Check dependencies against deny.toml
///
/// With cargo-deny installed: `cargo deny check bans licenses sources`. Without: this program reads the same bans,
/// licences and sources from deny.toml itself (cargo-deny also knows of duplicate versions, and of advisories).
///
///   cargo xtask deny
///   cargo xtask deny --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// One JSON object: {checked, problems: [..]}
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if found("cargo-deny") && !args.json {
        return cargo(["deny", "check", "bans", "licenses", "sources"]).code();
    }
    let report = supply::check()?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "cargo-deny is not installed: deny.toml's bans, licences and sources are checked by this program"
        );
        report.problems.iter().for_each(|problem| println!("{problem}"));
        println!("{} packages, {} problems", report.checked, report.problems.len());
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
