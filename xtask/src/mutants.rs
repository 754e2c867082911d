//! `cargo xtask mutants`: deliberate defects, each of which a test must find.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::run::root;

/// Where they are written down.
const LIST: &str = "tests/mutants.toml";
/// The copy of the source that they are put into, and what is built of it.
const SCRATCH: &str = "target/mutants";

/// Put deliberate defects into a copy of the source, one at a time, and see that a test finds each
///
/// They stand in tests/mutants.toml, each with the test that must fail with it. The copy lies in target/mutants; the source
/// itself is not touched. The exit code says whether all were found.
///
///   cargo xtask mutants                          all of them
///   cargo xtask mutants --package inkwire-protocol
///   cargo xtask mutants epoch-not-checked
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only these
    names: Vec<String>,
    /// Only those in this package
    #[arg(long)]
    package: Option<String>,
    /// Name them, with what each breaks
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// One defect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    what: String,
    file: PathBuf,
    find: String,
    replace: String,
    package: String,
    /// `lib`, or the name of an integration test.
    target: String,
    test: String,
}

/// What the tests said to it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The test failed.
    By(String),
    /// It passed.
    Survived,
    /// Nothing was tested: it does not compile, or there is no such test.
    Nothing(String),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let all = list()?;
    if let Some(unknown) = args.names.iter().find(|name| all.iter().all(|mutant| mutant.name != **name)) {
        bail!("{LIST} has no mutant `{unknown}`: `cargo xtask mutants --list` names them");
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|mutant| args.names.is_empty() || args.names.contains(&mutant.name))
        .filter(|mutant| args.package.as_ref().is_none_or(|package| *package == mutant.package))
        .collect();
    if args.list {
        chosen.iter().for_each(|mutant| println!("{:32} {}", mutant.name, mutant.what));
        return Ok(ExitCode::SUCCESS);
    }
    let survived = play(&chosen)?;
    Ok(if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mutants of one package, for CI: how many were found and how many not.
pub(crate) fn of_package(package: &str) -> Result<(u64, u64)> {
    let all = list()?;
    let chosen: Vec<_> = all.iter().filter(|mutant| mutant.package == package).collect();
    ensure!(!chosen.is_empty(), "{LIST} has no mutant of {package}");
    let survived = play(&chosen)?;
    Ok((chosen.len() as u64 - survived, survived))
}

fn list() -> Result<Vec<Mutant>> {
    let path = root().join(LIST);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let list: List =
        toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?;
    Ok(list.mutant)
}

/// The file with the defect in it.
fn mutate(text: &str, mutant: &Mutant) -> Result<String> {
    let times = text.matches(&mutant.find).count();
    let (name, file) = (&mutant.name, mutant.file.display());
    ensure!(
        times == 1,
        "mutant {name}: its text stands {times} times in {file}: the code has moved, mend {LIST}"
    );
    Ok(text.replacen(&mutant.find, &mutant.replace, 1))
}

/// Plays them one after the other; returns how many survived.
fn play(mutants: &[&Mutant]) -> Result<u64> {
    let tree = root().join(SCRATCH).join("tree");
    copy_source(&tree)?;
    let mut survived = 0;
    for mutant in mutants {
        let path = tree.join(&mutant.file);
        let good =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let began = Instant::now();
        write(&path, &mutate(&good, mutant)?)?;
        let found = test(&tree, mutant);
        write(&path, &good)?;
        let (name, took) = (&mutant.name, began.elapsed().as_secs_f64());
        match found? {
            Found::By(test) => println!("{name:32} found by {test} ({took:.1} s)"),
            Found::Survived => {
                survived += 1;
                println!("{name:32} SURVIVED: {} ({took:.1} s)", mutant.what);
            }
            Found::Nothing(output) => bail!("mutant {name} was not tested:\n{output}"),
        }
    }
    println!("{} mutants, {} found, {survived} survived", mutants.len(), mutants.len() as u64 - survived);
    Ok(survived)
}

/// Runs its one test. What the test passes without the defect is CI's own business: it runs all of them.
fn test(tree: &Path, mutant: &Mutant) -> Result<Found> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--package", &mutant.package]);
    match mutant.target.as_str() {
        "lib" => command.arg("--lib"),
        name => command.args(["--test", name]),
    };
    command.arg(&mutant.test).current_dir(tree).env("CARGO_TARGET_DIR", root().join(SCRATCH).join("target"));
    // What is built here runs once: compiling it quickly counts for more than running it quickly.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
        .env("CARGO_INCREMENTAL", "1")
        .env("RUST_BACKTRACE", "0")
        .env("PROPTEST_FAILURE_PERSISTENCE", "off");
    let output = command.output().context("cannot run cargo")?;
    let said = [output.stdout.as_slice(), b"\n", output.stderr.as_slice()].concat();
    Ok(read(&String::from_utf8_lossy(&said), &mutant.test, output.status.success()))
}

/// What the tests' output means.
fn read(output: &str, test: &str, passed: bool) -> Found {
    let of = |ending: &str| {
        let lines = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(ending));
        lines.map(str::trim_end).find(|name| name.contains(test)).map(str::to_owned)
    };
    match of("... FAILED") {
        Some(name) if !passed => Found::By(name),
        _ if of("... ok").is_some() && passed => Found::Survived,
        _ => Found::Nothing(output.to_owned()),
    }
}

/// Copies what git knows of, and what it would take; only what has changed, so that little is built anew.
fn copy_source(tree: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("cannot run git, which says what belongs to the source")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), tree.join(name));
        if !from.is_file() {
            continue;
        }
        let bytes = std::fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_still_fits_the_code_and_names_a_test_that_is_there() {
        let mutants = list().unwrap();
        assert!(mutants.len() >= 10, "only {} mutants", mutants.len());
        let mut names = std::collections::BTreeSet::new();
        for mutant in &mutants {
            assert!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
            let text = std::fs::read_to_string(root().join(&mutant.file)).unwrap();
            assert_ne!(mutate(&text, mutant).unwrap(), text, "{} changes nothing", mutant.name);
            let room = root().join(mutant.package.trim_start_matches("inkwire-"));
            assert!(
                mentions(&room, &format!("fn {}(", mutant.test)),
                "{}: no test {}",
                mutant.name,
                mutant.test
            );
        }
    }

    fn mentions(folder: &Path, text: &str) -> bool {
        std::fs::read_dir(folder).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                return mentions(&path, text);
            }
            let rust = path.extension().is_some_and(|extension| extension == "rs");
            rust && std::fs::read_to_string(&path).unwrap().contains(text)
        })
    }

    #[test]
    fn only_a_failed_test_finds_a_mutant() {
        let failed = "running 1 test\ntest session::fence::tests::it_holds ... FAILED\n";
        assert_eq!(read(failed, "it_holds", false), Found::By("session::fence::tests::it_holds".into()));
        assert_eq!(read("test a::it_holds ... ok\n", "it_holds", true), Found::Survived);
        assert!(matches!(read("error[E0308]: mismatched types", "it_holds", false), Found::Nothing(_)));
        assert!(matches!(read("running 0 tests\n", "it_holds", true), Found::Nothing(_)));
    }

    #[test]
    fn a_mutant_whose_text_has_moved_is_told() {
        let mut mutants = list().unwrap();
        mutants[0].find = "this stands nowhere".into();
        let error = mutate("fn main() {}", &mutants[0]).unwrap_err().to_string();
        assert!(error.contains("has moved"), "{error}");
    }
}
