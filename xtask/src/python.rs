//! Programs in Python and programs that come as Python packages, in one environment of our own under `target/python`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run::{Tool, root};

/// What stands in it, with versions.
const REQUIREMENTS: [&str; 2] = ["tests/api/requirements.txt", "bench/peers/requirements.txt"];

/// Its interpreter, beside which the packages' programs are; made once for each set of requirements.
pub(crate) fn python() -> Result<PathBuf> {
    let mut wanted = Vec::new();
    for requirements in REQUIREMENTS {
        let path = root().join(requirements);
        wanted.extend(std::fs::read(path).with_context(|| format!("cannot read {requirements}"))?);
    }
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
    let install = Tool::new(&python).args(["-m", "pip", "install", "--quiet"]);
    REQUIREMENTS.iter().fold(install, |install, file| install.args(["--requirement", file])).run()?;
    std::fs::write(&made, wanted).with_context(|| format!("cannot write {}", made.display()))?;
    Ok(python)
}
