//! `cargo xtask instructions`: how many instructions the hot paths take, held to what was recorded.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::run::{Tool, cargo, root};
use crate::test::Tally;

/// Where they are recorded.
const RECORD: &str = "bench/instructions.toml";
/// So much more, or less, is a change to look at.
const WITHIN: f64 = 0.10;
const HEAD: &str = "\
# Instructions of one time through each hot path (bench/src/bin/hotpaths.rs), counted by callgrind in the dev profile.
# They belong to one compiler. After a change that is meant, or with another compiler: cargo xtask instructions --record
";

/// Count the instructions of the hot paths, and compare them with bench/instructions.toml
///
///   cargo xtask instructions             fails where one has changed by more than 10 %
///   cargo xtask instructions --record    writes them down anew
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Write them down anew
    #[arg(long)]
    record: bool,
}

/// What was recorded.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The compiler, as `rustc --version` says it.
    rustc: String,
    /// The processor's architecture.
    architecture: String,
    /// By path.
    instructions: BTreeMap<String, u64>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    cargo(["build", "--workspace", "--bin", "hotpaths"]).run()?;
    if !args.record {
        let tally = compare()?;
        return Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let text = toml::to_string(&count()?).context("the record")?;
    std::fs::write(root().join(RECORD), format!("{HEAD}{text}")).context(RECORD)?;
    println!("{RECORD} is written");
    Ok(ExitCode::SUCCESS)
}

/// One check for each path; the binary must have been built.
pub(crate) fn compare() -> Result<Tally> {
    let text = std::fs::read_to_string(root().join(RECORD)).context(RECORD)?;
    let recorded: Record = toml::from_str(&text).context(RECORD)?;
    let now = count()?;
    let same = |it: &Record| (it.rustc.clone(), it.architecture.clone());
    if same(&recorded) != same(&now) {
        println!(
            "not compared: {RECORD} belongs to {} on {}, this is {} on {}: record anew with `cargo xtask instructions --record`",
            recorded.rustc, recorded.architecture, now.rustc, now.architecture
        );
        return Ok(Tally { not_run: recorded.instructions.len() as u64, ..Tally::default() });
    }
    let mut tally = Tally::default();
    for (path, verdict) in judge(&recorded.instructions, &now.instructions) {
        tally = tally.plus(if verdict.is_ok() { Tally::PASSED } else { Tally::FAILED });
        match verdict {
            Ok(said) => println!("{path:14} {said}"),
            Err(said) => println!("{path:14} {said}  FAILED"),
        }
    }
    Ok(tally)
}

/// Every path of either, with what to say of it.
fn judge(
    recorded: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
) -> Vec<(String, Result<String, String>)> {
    let mut all: Vec<&String> = recorded.keys().chain(now.keys()).collect();
    all.sort();
    all.dedup();
    let one = |path: &String| match (recorded.get(path), now.get(path)) {
        (Some(&then), Some(&now)) => {
            let change = (now as f64 - then as f64) / then.max(1) as f64;
            let said = format!("{now:>10} instructions, {:+.1} % of what was recorded", change * 100.0);
            if change.abs() <= WITHIN { Ok(said) } else { Err(said) }
        }
        (Some(_), None) => Err("is recorded, and was not counted".to_owned()),
        (None, _) => Err("was counted, and is not recorded".to_owned()),
    };
    all.into_iter().map(|path| (path.clone(), one(path))).collect()
}

fn count() -> Result<Record> {
    let out = root().join("target").join("hotpaths.callgrind");
    let hotpaths =
        std::env::current_exe().context("the path of this program is not known")?.with_file_name("hotpaths");
    let times = Tool::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&hotpaths)
        .output()?;
    let times: u64 = times.trim().parse().context("hotpaths says how often")?;
    let text = std::fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    let instructions: BTreeMap<_, _> =
        inclusive(&text).into_iter().map(|(path, all)| (path, all / times)).collect();
    ensure!(!instructions.is_empty(), "callgrind saw no hot path");
    let rustc = Tool::new("rustc").arg("--version").output()?.trim().to_owned();
    Ok(Record { rustc, architecture: std::env::consts::ARCH.to_owned(), instructions })
}

/// What `hotpaths::main` spent in each function of its own file that it calls, by callgrind's format: `cfn=` names who is called,
/// the line after `calls=` ends with what was spent there and below.
fn inclusive(callgrind: &str) -> BTreeMap<String, u64> {
    let (mut within_main, mut called, mut spent) = (false, None, BTreeMap::new());
    let mut lines = callgrind.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            within_main = function == "hotpaths::main";
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = function.strip_prefix("hotpaths::").filter(|_| within_main).map(str::to_owned);
        } else if line.starts_with("calls=") {
            let cost = lines.next().and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            if let (Some(path), Some(cost)) = (called.take(), cost) {
                *spent.entry(path).or_default() += cost;
            }
        }
    }
    spent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_main_spent_in_each_path_is_read() {
        let text = "fl=hotpaths.rs\nfn=hotpaths::main\n10 5\ncfn=hotpaths::packet\ncalls=1 30\n11 4000\n\
                    cfn=alloc::vec\ncalls=3 7\n12 90\nfn=hotpaths::packet\n30 100\ncfn=hotpaths::inner\ncalls=1 40\n31 3900\n";
        assert_eq!(inclusive(text), BTreeMap::from([("packet".to_owned(), 4000)]));
    }

    #[test]
    fn more_than_ten_percent_either_way_and_unknown_paths_fail() {
        let map = |of: &[(&str, u64)]| of.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
        let recorded: BTreeMap<_, _> = map(&[("a", 100), ("b", 100), ("c", 100), ("gone", 1)]);
        let now = map(&[("a", 110), ("b", 111), ("c", 89), ("new", 1)]);
        let failed: Vec<_> =
            judge(&recorded, &now).into_iter().filter(|(_, it)| it.is_err()).map(|(path, _)| path).collect();
        assert_eq!(failed, ["b", "c", "gone", "new"]);
    }
}
