//! `cargo xtask package`: what people install. A Debian package, a tar.gz, and the file a container image is built from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::run::{Tool, cargo, found, root};

/// The tool that makes the Debian package; installed under `target/tools` where it is missing.
const CARGO_DEB: &str = "3.8.0";

/// Build the release binary and pack it: target/package/*.deb, *.tar.gz, Containerfile
///
///   cargo xtask package
///   cargo xtask package --dev      packs the binary of the dev profile, to try the packaging itself
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Pack the dev profile's binary
    #[arg(long)]
    dev: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let profile = if args.dev { "dev" } else { "release" };
    cargo(["build", "--package", "inkwire", "--profile", profile]).run()?;
    let folder = root().join("target/package");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let binary = root().join("target").join(if args.dev { "debug" } else { "release" }).join("inkwire");
    let made = [debian(&folder, profile)?, tarball(&folder, &binary)?, container(&folder, &binary)?];
    for path in made {
        let bytes = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        println!("{:>9} KiB  {}", bytes / 1024, path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn debian(folder: &Path, profile: &str) -> Result<PathBuf> {
    if !found("dpkg-deb") {
        bail!("dpkg-deb is missing: make the package on Debian (apt-get install dpkg)");
    }
    let out = folder.join(format!("inkwire_{}_{}.deb", env!("CARGO_PKG_VERSION"), architecture()?));
    cargo_deb()?
        .args(["--package", "inkwire", "--no-build", "--profile", profile, "--output"])
        .arg(&out)
        .run()?;
    Ok(out)
}

/// `cargo deb`: the system's, or our own copy of a known version.
fn cargo_deb() -> Result<Tool> {
    if found("cargo-deb") {
        return Ok(cargo(["deb"]));
    }
    let tools = root().join("target/tools");
    let program = tools.join("bin/cargo-deb");
    if !program.is_file() {
        println!("installing cargo-deb {CARGO_DEB} into {}", tools.display());
        cargo(["install", "cargo-deb", "--locked", "--version", CARGO_DEB, "--root"]).arg(&tools).run()?;
    }
    Ok(Tool::new(program))
}

fn architecture() -> Result<String> {
    Ok(Tool::new("dpkg").arg("--print-architecture").output()?.trim().to_owned())
}

/// The same files in a folder of their own, for systems without dpkg.
fn tarball(folder: &Path, binary: &Path) -> Result<PathBuf> {
    let name = format!("inkwire-{}-linux-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let staged = folder.join(&name);
    if staged.exists() {
        std::fs::remove_dir_all(&staged).with_context(|| staged.display().to_string())?;
    }
    std::fs::create_dir_all(&staged)?;
    copy(binary, &staged)?;
    for file in [
        "packaging/etc/broker.toml",
        "packaging/etc/agent.toml",
        "packaging/systemd/inkwire-broker.service",
        "packaging/systemd/inkwire-agent.service",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "docs/operations.md",
    ] {
        copy(&root().join(file), &staged)?;
    }
    let out = folder.join(format!("{name}.tar.gz"));
    Tool::new("tar")
        .args(["--create", "--gzip", "--owner=0", "--group=0", "--sort=name", "--file"])
        .arg(&out)
        .arg("--directory")
        .arg(folder)
        .arg(&name)
        .run()?;
    Ok(out)
}

/// A folder from which `podman build` or `docker build` makes the broker's image.
fn container(folder: &Path, binary: &Path) -> Result<PathBuf> {
    copy(binary, folder)?;
    copy(&root().join("packaging/Containerfile"), folder)
}

fn copy(from: &Path, folder: &Path) -> Result<PathBuf> {
    let name = from.file_name().with_context(|| format!("{} has no name", from.display()))?;
    let to = folder.join(name);
    std::fs::copy(from, &to).with_context(|| format!("{} -> {}", from.display(), to.display()))?;
    Ok(to)
}
