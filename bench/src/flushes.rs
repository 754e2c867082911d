//! How often processes ask the disk to keep what was written: fsync and fdatasync, counted by the kernel's tracepoints
//! through `perf stat`, which slows nobody down as strace would.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};

const EVENTS: &str =
    "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync,syscalls:sys_enter_sync_file_range";

/// perf has attached itself to every thread by then.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running count.
#[derive(Debug)]
pub(crate) struct Flushes {
    perf: Child,
    control: File,
    answers: File,
}

impl Flushes {
    /// Counts from now on in these processes and whatever threads and children they start.
    pub(crate) fn count(dir: &Path, pids: &[u32]) -> Result<Self> {
        let (control, answers) = (fifo(dir, "perf.control")?, fifo(dir, "perf.answers")?);
        let list: Vec<_> = pids.iter().map(u32::to_string).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-D", "-1", "-e", EVENTS, "-p", &list.join(",")])
            .arg(format!("--control=fifo:{},{}", control.display(), answers.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("perf does not start")?;
        // Opened for both directions, so that opening does not wait for perf.
        let open = |path: &Path| {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::open(path, flags, Mode::empty());
            file.map(File::from).with_context(|| path.display().to_string())
        };
        let mut this = Self { control: open(&control)?, answers: open(&answers)?, perf };
        this.ask("enable")?;
        Ok(this)
    }

    /// What was counted.
    pub(crate) fn end(mut self) -> Result<u64> {
        self.ask("disable")?;
        let pid = rustix::process::Pid::from_child(&self.perf);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).context("perf has gone")?;
        let stderr = self.perf.stderr.take().context("perf's output")?;
        let lines = std::io::read_to_string(stderr).context("perf's output")?;
        self.perf.wait().context("perf")?;
        sum(&lines).with_context(|| format!("perf counted nothing: {}", lines.trim()))
    }

    /// Says a word and waits for its answer, or for perf's end.
    fn ask(&mut self, what: &str) -> Result<()> {
        self.control.write_all(format!("{what}\n").as_bytes()).context("perf's control")?;
        let end = Instant::now() + ANSWERS_WITHIN;
        let mut answer = [0; 64];
        loop {
            match self.answers.read(&mut answer) {
                Ok(read) if answer[..read].contains(&b'\n') => return Ok(()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error).context("perf"),
                Ok(_) | Err(_) => {}
            }
            if let Some(status) = self.perf.try_wait().context("perf")? {
                bail!("perf ended with {status}: it needs root, or kernel.perf_event_paranoid = -1");
            }
            if Instant::now() > end {
                bail!("perf does not answer");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Flushes {
    fn drop(&mut self) {
        // After `end` it has gone already.
        if !matches!(self.perf.try_wait(), Ok(Some(_))) {
            let _gone = self.perf.kill();
            let _waited = self.perf.wait();
        }
    }
}

fn fifo(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if !path.exists() {
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        );
        made.with_context(|| path.display().to_string())?;
    }
    Ok(path)
}

/// Of lines such as `12,,syscalls:sys_enter_fsync,...`; none where no event was counted.
fn sum(lines: &str) -> Option<u64> {
    let counts = lines.lines().filter(|line| line.contains("syscalls:"));
    let counts: Vec<u64> = counts.filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_and_none_is_not_zero() {
        let lines = "Events disabled\n12,,syscalls:sys_enter_fsync,1,100.00,,\n0,,syscalls:sys_enter_fdatasync,1,,,\n";
        assert_eq!(sum(lines), Some(12));
        assert_eq!(sum("<not supported>,,syscalls:sys_enter_fsync,0,,,\n"), None);
    }
}
