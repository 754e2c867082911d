//! The stages that are played in Python against a running broker: tests/api says what each program does.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::stages::build_all;
use super::tally::Tally;
use crate::run::{Tool, root};

/// What these programs stand on, with versions.
const REQUIREMENTS: &str = "tests/api/requirements.txt";
/// So many requests a method and scope: three scopes of them take less than three minutes.
const REQUESTS_PER_METHOD: &str = "5";

/// The API against its own document with a key of each scope; the pages and the metrics as they are documented.
pub(super) fn stage() -> Result<Tally> {
    build_all()?;
    let python = python()?;
    Ok(play(&python, "page.py", &[]).plus(play(&python, "metrics.py", &[])).plus(play(
        &python,
        "conform.py",
        &["read,submit,admin", REQUESTS_PER_METHOD],
    )))
}

/// The ten-minute page as it stands, and every example as its users run it.
pub(super) fn examples() -> Result<Tally> {
    build_all()?;
    let python = python()?;
    Ok(play(&python, "run_page.py", &[]).plus(play(&python, "examples.py", &[])))
}

fn play(python: &PathBuf, program: &str, args: &[&str]) -> Tally {
    println!("· {program}");
    let path = format!("tests/api/{program}");
    let played = Tool::new(python).arg(path).args(args).env("PYTHONDONTWRITEBYTECODE", "1").run();
    match played {
        Ok(()) => Tally::PASSED,
        Err(error) => {
            eprintln!("{error:#}");
            Tally::FAILED
        }
    }
}

/// An interpreter with the libraries, in a folder of its own under `target`; made once for each set of requirements.
fn python() -> Result<PathBuf> {
    let requirements = root().join(REQUIREMENTS);
    let wanted = std::fs::read(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let folder = root().join("target/python");
    let (python, made) = (folder.join("bin/python"), folder.join("requirements.made"));
    if std::fs::read(&made).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    Tool::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .run()
        .context("cannot make a Python environment; on Debian: apt-get install python3-venv")?;
    Tool::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]).run()?;
    std::fs::write(&made, wanted).with_context(|| format!("cannot write {}", made.display()))?;
    Ok(python)
}
