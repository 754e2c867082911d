//! One network namespace, gone with everything in it when dropped.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::sys::{feed, run};

/// All our namespaces begin with this; then the process id of the lab that made them.
const PREFIX: &str = "inklab";

/// A name that nobody else has: `inklab-PID-RANDOM`, the stem of one lab's namespaces and of its folder.
pub fn stem() -> String {
    format!("{PREFIX}-{}-{:04x}", std::process::id(), rand::random::<u16>())
}

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    pub fn create(stem: &str, role: &str) -> Result<Self> {
        let name = format!("{stem}-{role}");
        run("ip", ["netns", "add", &name])?;
        let made = Self { name };
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// `ip -n NAME ...`, the arguments separated by spaces.
    pub fn ip(&self, args: &str) -> Result<String> {
        run("ip", ["-n", &self.name].into_iter().chain(args.split_whitespace()))
    }

    /// A program of the host inside, the arguments separated by spaces.
    pub fn exec(&self, line: &str) -> Result<String> {
        run("ip", ["netns", "exec", &self.name].into_iter().chain(line.split_whitespace()))
    }

    /// Rules for nftables.
    pub fn nft(&self, rules: &str) -> Result<String> {
        feed("ip", ["netns", "exec", &self.name, "nft", "-f", "-"], rules)
    }

    /// A kernel setting of this namespace, such as `net/ipv4/ip_forward`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        let written = self.inside(|| std::fs::write(&path, value));
        written?.with_context(|| format!("cannot set {path} in {}", self.name))
    }

    /// One end of a cable here, the other in another namespace.
    pub fn cable(&self, end: &str, other: &Self, other_end: &str) -> Result<()> {
        self.ip(&format!("link add {end} type veth peer name {other_end} netns {}", other.name))?;
        self.ip(&format!("link set {end} up"))?;
        other.ip(&format!("link set {other_end} up")).map(drop)
    }

    /// Moves the calling thread in, for good. Threads and processes that it starts are inside too.
    pub fn enter(&self) -> Result<()> {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter {path}"))
    }

    /// Runs something inside: sockets that it opens and processes that it starts belong to this namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.enter().map(|()| work()));
            inside.join().map_err(|_| anyhow!("what ran inside {} panicked", self.name))?
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("a namespace stays: {error:#}");
        }
    }
}

/// Ends what runs inside and removes the namespace.
fn remove(name: &str) -> Result<()> {
    let me = Pid::as_raw(Some(rustix::process::getpid()));
    for line in run("ip", ["netns", "pids", name])?.lines() {
        let Ok(pid) = line.trim().parse::<i32>() else { continue };
        if pid != me
            && let Some(pid) = Pid::from_raw(pid)
            && let Err(error) = kill_process(pid, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            return Err(error).with_context(|| format!("cannot end process {pid:?} in {name}"));
        }
    }
    run("ip", ["netns", "del", name]).map(drop)
}

/// Removes namespaces and folders: those of labs whose process is gone, or those of `own`.
pub fn sweep(own: Option<u32>) -> Result<()> {
    let doomed = |name: &str| {
        let pid = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-').next()?.parse::<u32>().ok()?;
        Some(own.map_or_else(|| !is_lab(pid), |own| own == pid))
    };
    for line in run("ip", ["netns", "list"])?.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if doomed(name) == Some(true) {
            remove(name)?;
        }
    }
    let folder = std::env::temp_dir();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if doomed(name) == Some(true) {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn is_lab(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| ["natlab", "inkwire-bench"].contains(&name.trim()))
}
