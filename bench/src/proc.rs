//! What processes use, from /proc.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Clock ticks a second of /proc (`USER_HZ`, fixed at 100 for user space on Linux; proc(5)).
const TICKS_PER_S: f64 = 100.0;

/// Resident memory of a process now.
pub(crate) fn rss_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most that it has been since [`forget_peak`].
pub(crate) fn peak_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

/// Lets the kernel begin the peak anew (proc(5), `clear_refs`).
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| path)
}

fn memory(pid: u32, what: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such line")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().with_context(|| path)?;
    Ok(kib * 1024)
}

/// Processor time that these processes have used so far, with that of their children that have ended and of those that
/// run (a server that forks for its work pays for the work).
pub(crate) fn cpu_s(pids: &[u32]) -> Result<f64> {
    let children = children()?;
    let mut ticks = 0;
    let mut open = pids.to_vec();
    while let Some(pid) = open.pop() {
        // A child that ends meanwhile is counted at its parent.
        ticks += ticks_of(pid).unwrap_or_default();
        open.extend(children.get(&pid).into_iter().flatten());
    }
    Ok(ticks as f64 / TICKS_PER_S)
}

/// utime, stime, cutime and cstime (fields 14 to 17 of proc(5)'s stat).
fn ticks_of(pid: u32) -> Option<u64> {
    let fields = fields(pid)?;
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Whether a child of ours has ended (it is a zombie until it is waited for).
pub(crate) fn has_ended(pid: u32) -> bool {
    fields(pid).is_none_or(|fields| fields.first().is_none_or(|state| state == "Z"))
}

/// The fields after the name, which may have blanks in it.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

fn children() -> Result<BTreeMap<u32, Vec<u32>>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let name = entry.context("/proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let parent = fields(pid).and_then(|fields| fields.get(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    Ok(children)
}

/// As many open files as this process may have: thousands of sockets stand in it.
pub(crate) fn raise_open_files() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, all).context("the limit of open files cannot be raised")
}
