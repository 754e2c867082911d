//! The programs that tests run beside our own, and the Debian packages that bring them.

use std::path::Path;

use anyhow::{Result, bail};

use super::tally::Tally;
use crate::run::{Tool, found};

/// A program, and the Debian package it is in.
const NEEDED: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("tcpdump", "tcpdump"),
    ("unshare", "util-linux"),
    ("cupsd", "cups"),
    ("cupsfilter", "cups"),
    ("lpadmin", "cups-client"),
    ("mosquitto", "mosquitto"),
    ("ippeveprinter", "cups-ipp-utils"),
    ("ipptool", "cups-ipp-utils"),
    ("driverless", "cups-filters"),
    ("gs", "ghostscript"),
    ("dbus-daemon", "dbus"),
    ("avahi-daemon", "avahi-daemon"),
    ("valgrind", "valgrind"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("python3", "python3-venv"),
    ("pdfinfo", "poppler-utils"),
    ("libfaketime.so.1", "libfaketime"),
    ("chromium", "chromium"),
    ("certutil", "libnss3-tools"),
    ("NotoSansCJK-Regular.ttc", "fonts-noto-cjk"),
];

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> =
        NEEDED.iter().filter(|(program, _)| !there(program)).map(|(_, p)| *p).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Programs of CUPS, preloaded libraries and fonts stand in folders of their own.
fn there(name: &str) -> bool {
    let elsewhere = [
        "/usr/lib/cups/filter",
        "/usr/lib/cups/driver",
        "/usr/lib/x86_64-linux-gnu/faketime",
        "/usr/lib/aarch64-linux-gnu/faketime",
        "/usr/share/fonts/opentype/noto",
    ];
    found(name) || elsewhere.iter().any(|folder| Path::new(folder).join(name).is_file())
}

/// Installs what is missing and starts what does not run, where that may be done; otherwise says exactly what to do.
pub(super) fn stage() -> Result<Tally> {
    let root = Tool::new("id").arg("-u").output().is_ok_and(|id| id.trim() == "0");
    install(root)?;
    start_services(root)?;
    Ok(Tally::PASSED)
}

fn install(root: bool) -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        println!("tools: nothing is missing");
        return Ok(());
    }
    let command = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !root || !found("apt-get") {
        bail!("programs that tests need are missing; as root on Debian: {command}");
    }
    println!("tools: {command}");
    let apt = |args: &[&str]| Tool::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").run();
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-qq", "-y", "--no-install-recommends"], packages.as_slice()].concat())?;
    let still = missing();
    if !still.is_empty() {
        bail!("installed, but their programs are not where they were expected: {}", still.join(", "));
    }
    Ok(())
}

/// ippeveprinter announces itself through avahi, which needs the system's bus. What is started here stays, as a service would.
fn start_services(root: bool) -> Result<()> {
    let bus = std::os::unix::net::UnixStream::connect("/run/dbus/system_bus_socket").is_ok();
    let announcer = std::os::unix::net::UnixStream::connect("/run/avahi-daemon/socket").is_ok();
    if bus && announcer {
        return Ok(());
    }
    if !root {
        bail!(
            "the system bus and avahi-daemon must run for ippeveprinter; as root: systemctl start dbus avahi-daemon"
        );
    }
    if !bus {
        println!("tools: starting the system bus");
        std::fs::create_dir_all("/run/dbus")?;
        Tool::new("dbus-daemon").args(["--system", "--fork", "--nopidfile"]).run()?;
    }
    if !announcer {
        println!("tools: starting avahi-daemon");
        Tool::new("avahi-daemon").args(["--daemonize", "--no-drop-root"]).run()?;
    }
    Ok(())
}
