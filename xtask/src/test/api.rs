//! The stages that are played in Python against a running broker: tests/api says what each program does.

use std::path::PathBuf;

use anyhow::Result;

use super::stages::build_all;
use super::tally::Tally;
use crate::python::python;
use crate::run::Tool;

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
