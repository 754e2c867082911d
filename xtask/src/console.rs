//! `cargo xtask console`: the web console's files, which the broker embeds.

use std::fs::File;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::run::{Tool, found, root};

/// The oldest Node that builds the console.
const NODE: (u32, u32) = (20, 19);

/// Build the web console (needs Node 20.19 or later)
///
/// The next build of the broker embeds it; a debug build of the broker reads it from web-console/dist at once.
///
///   cargo xtask console
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    build()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds it where Node is there; otherwise says that the broker does without.
pub(crate) fn build_where_possible() -> Result<()> {
    match node() {
        Ok(()) => build(),
        Err(error) => {
            println!("the web console is not built: {error:#}");
            Ok(())
        }
    }
}

/// The packages of package-lock.json, then the files of `web-console/dist`.
pub(crate) fn build() -> Result<()> {
    node()?;
    install()?;
    let dist = root().join("web-console/dist");
    let was_there = dist.is_dir();
    npm(&["run", "--silent", "build"]).run()?;
    if !was_there {
        embed_anew()?;
    }
    Ok(())
}

/// `npm` in `web-console/`.
pub(crate) fn npm(args: &[&str]) -> Tool {
    Tool::new("npm").args(["--prefix", "web-console"]).args(args)
}

/// Installs what package-lock.json says, unless that is there already.
pub(crate) fn install() -> Result<()> {
    let console = root().join("web-console");
    let modified = |path: &str| console.join(path).metadata().and_then(|data| data.modified());
    let lock = modified("package-lock.json").context("web-console/package-lock.json cannot be read")?;
    if modified("node_modules/.package-lock.json").is_ok_and(|installed| installed >= lock) {
        return Ok(());
    }
    npm(&["ci", "--no-audit", "--no-fund"]).run()
}

fn node() -> Result<()> {
    if !found("node") || !found("npm") {
        bail!("node and npm are not in the PATH: install Node {}.{} or later", NODE.0, NODE.1);
    }
    let version = Tool::new("node").arg("--version").output()?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= NODE => Ok(()),
        _ => bail!("Node {} is too old: install {}.{} or later", version.trim(), NODE.0, NODE.1),
    }
}

/// Cargo does not see that a folder came to be; a newer source makes it look.
fn embed_anew() -> Result<()> {
    let source = root().join("broker/src/api/console.rs");
    let file =
        File::options().append(true).open(&source).context("broker/src/api/console.rs cannot be opened")?;
    file.set_modified(SystemTime::now()).context("broker/src/api/console.rs cannot be touched")
}
