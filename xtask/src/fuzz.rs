//! `cargo xtask fuzz`: parsers and rules given whatever bytes a stranger may send.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::run::{Tool, cargo, found, root};

/// Every target; `fuzz/fuzz_targets` has a file for each.
const TARGETS: &[&str] = &["wire", "packets", "transfer", "session", "requests", "proxy", "ipp", "stored"];
/// More memory than this is a defect: no message is larger than 256 KiB.
const MEMORY_MB: u32 = 512;

/// Fuzz the parsers, by nightly and cargo-fuzz (installed under target/tools where it is missing)
///
/// Starts from the small corpora in fuzz/corpus; what is found beyond lies in target/fuzz. An input that breaks something is kept in
/// fuzz/artifacts and named: mend the cause, then put it into fuzz/corpus.
///
///   cargo xtask fuzz                       15 minutes each
///   cargo xtask fuzz ipp --minutes 60      one of them
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only this target
    target: Option<String>,
    /// How long each
    #[arg(long, default_value_t = 15)]
    minutes: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(unknown) = args.target.as_deref().filter(|name| !TARGETS.contains(name)) {
        bail!("there is no target {unknown}; there are: {}", TARGETS.join(", "));
    }
    if !has_nightly() {
        bail!("fuzzing needs the nightly toolchain: rustup toolchain install nightly");
    }
    let chosen = TARGETS.iter().filter(|name| args.target.as_deref().is_none_or(|only| only == **name));
    let failed = play(chosen.copied(), args.minutes * 60)?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each target for so long: how many held and how many did not. None where nightly is not there.
pub(crate) fn all(seconds: u64) -> Result<Option<(u64, u64)>> {
    if !has_nightly() {
        return Ok(None);
    }
    let failed = play(TARGETS.iter().copied(), seconds)?.len();
    Ok(Some(((TARGETS.len() - failed) as u64, failed as u64)))
}

fn has_nightly() -> bool {
    found("rustup")
        && Tool::new("rustup").args(["toolchain", "list"]).output().is_ok_and(|list| list.contains("nightly"))
}

fn play(targets: impl Iterator<Item = &'static str>, seconds: u64) -> Result<Vec<&'static str>> {
    let path = install()?;
    let mut failed = Vec::new();
    for target in targets {
        println!("fuzz {target}: {seconds} s");
        let own = root().join("target/fuzz").join(target);
        std::fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
        let run = Tool::new("cargo")
            .args(["+nightly", "fuzz", "run", target])
            .arg(own)
            .arg(format!("fuzz/corpus/{target}"))
            .arg("--")
            .args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MB}")])
            .args(["-timeout=5", "-max_len=65536", "-print_final_stats=1"])
            .env("PATH", path.clone());
        if let Err(error) = run.run() {
            eprintln!("fuzz {target}: {error:#}");
            failed.push(target);
        }
    }
    Ok(failed)
}

/// The search path with cargo-fuzz in it.
fn install() -> Result<std::ffi::OsString> {
    let tools = root().join("target/tools");
    if !found("cargo-fuzz") && !tools.join("bin/cargo-fuzz").is_file() {
        println!("fuzz: installing cargo-fuzz into {}", tools.display());
        cargo(["install", "cargo-fuzz", "--locked", "--root"]).arg(tools.clone()).run()?;
    }
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&before));
    std::env::join_paths(folders).context("the search path cannot be made")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_file_its_entry_and_a_corpus() {
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(root().join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            let corpus = std::fs::read_dir(root().join(format!("fuzz/corpus/{target}"))).unwrap();
            assert!(corpus.count() > 0, "{target} begins with nothing");
        }
        let files = std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap().count();
        assert_eq!(files, TARGETS.len(), "a target is not in TARGETS");
    }
}
