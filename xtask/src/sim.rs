//! `cargo xtask sim`: broker and agents in one thread, seed by seed.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::run::{Stream, Tool, cargo, root};

/// Seeds in CI: some 20 s on two processors.
const CI_SEEDS: u64 = 200;
/// Which seeds were played, sitting by sitting.
const RECORD: &str = "tests/RECORD.md";
const HEAD: &str = "# Record

Sittings of `cargo xtask sim --resume`: each goes on where the last one stopped.

| day | commit | seeds from | to | what came of it |
|---|---|---|---|---|
";

/// Play broker and agents in one thread under virtual time, with faults drawn from seeds
///
/// A seed that breaks a rule is printed and made short; keep its story in tests/sim/kept.
///
///   cargo xtask sim                          200 seeds, as in CI
///   cargo xtask sim --seed 4711              one of them, told step by step
///   cargo xtask sim --seeds 5000 --resume    the next 5000, noted in tests/RECORD.md
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this seed, told step by step
    #[arg(long, conflicts_with_all = ["seeds", "from", "resume"])]
    seed: Option<u64>,
    /// Break rules on purpose (tests/sim/mutants.rs): each has to be found
    #[arg(long, conflicts_with_all = ["seed", "from", "resume"])]
    mutants: bool,
    /// Go on after the last sitting in tests/RECORD.md, and note this one there
    #[arg(long, conflicts_with = "from")]
    resume: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    build()?;
    if let Some(seed) = args.seed {
        return Tool::built("sim")?.args(["--seed", &seed.to_string()]).code();
    }
    if args.mutants {
        return Tool::built("sim")?.args(["--mutants", "--seeds", &args.seeds.to_string()]).code();
    }
    let record = if args.resume { record()? } else { String::new() };
    let from = if args.resume { next_seed(&record)? } else { args.from };
    let seeds = ["--from", &from.to_string(), "--seeds", &args.seeds.to_string()].map(str::to_owned);
    let (well, output) = Tool::built("sim")?.args(seeds).watch(Stream::Out)?;
    if args.resume {
        let held =
            output.lines().find_map(|line| line.split_once(": ")?.1.split_once(';').map(|(held, _)| held));
        let day = Tool::new("date").arg("+%F").output()?;
        let commit = Tool::new("git").args(["rev-parse", "--short", "HEAD"]).output()?;
        let (day, commit, to) = (day.trim(), commit.trim(), from + args.seeds.saturating_sub(1));
        let line = format!("| {day} | {commit} | {from} | {to} | {} |\n", held.unwrap_or("it ended early"));
        std::fs::write(root().join(RECORD), record + &line)
            .with_context(|| format!("cannot write {RECORD}"))?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What CI plays, of the binary that is built: seeds and broken rules that were as they should be, and those that were not.
pub(crate) fn stage() -> Result<(u64, u64)> {
    let (_, seeds) = Tool::built("sim")?.args(["--seeds", &CI_SEEDS.to_string()]).watch(Stream::Out)?;
    let (_, mutants) = Tool::built("sim")?.args(["--mutants", "--seeds", "400"]).watch(Stream::Out)?;
    let (held, failed) = counts(&seeds, "held,").context("sim does not say how many seeds held")?;
    let (found, survived) =
        counts(&mutants, "found,").context("sim does not say how many mutants it found")?;
    Ok((held + found, failed + survived))
}

/// The numbers before this word and after it in the line that ends with them: `200 held, 0 failed`.
fn counts(output: &str, word: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = output.lines().rfind(|line| line.contains(word))?.split_whitespace().collect();
    let at = words.iter().rposition(|found| *found == word)?;
    Some((words.get(at.checked_sub(1)?)?.parse().ok()?, words.get(at + 1)?.parse().ok()?))
}

fn build() -> Result<()> {
    cargo(["build", "--package", "inkwire-sim", "--bin", "sim"]).run()
}

fn record() -> Result<String> {
    match std::fs::read_to_string(root().join(RECORD)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HEAD.to_owned()),
        Err(error) => Err(error).with_context(|| format!("cannot read {RECORD}")),
    }
}

/// The seed after the last sitting's.
fn next_seed(record: &str) -> Result<u64> {
    let Some(last) = record.lines().rfind(|line| line.starts_with("| 2")) else { return Ok(1) };
    let to = last.split('|').nth(4).map(str::trim).and_then(|to| to.parse::<u64>().ok());
    match to {
        Some(to) => Ok(to + 1),
        None => bail!("{RECORD}: the last line names no seed: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_counted() {
        let line = "seed 7: I4: so\nseeds 1 to 200: 199 held, 1 failed; 1 jobs\n";
        assert_eq!(counts(line, "held,"), Some((199, 1)));
        assert_eq!(counts("mutants: 12 found, 0 survived\n", "found,"), Some((12, 0)));
        assert_eq!(counts("sim ended\n", "held,"), None);
    }

    #[test]
    fn a_sitting_begins_after_the_last_one() {
        assert_eq!(next_seed(HEAD).unwrap(), 1);
        let one = format!("{HEAD}| 2026-11-22 | abc1234 | 1 | 5000 | 5000 held, 0 failed |\n");
        assert_eq!(next_seed(&one).unwrap(), 5001);
        assert!(next_seed(&format!("{HEAD}| 2026-11-22 | abc1234 |\n")).is_err());
    }
}
