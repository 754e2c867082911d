//! One child process: started with its output in a file, ended by its own id only.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `inkwire` with these arguments; standard output and error are appended to `log`.
    pub fn inkwire(args: &[&str], env: &[(&str, &str)], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log file can be opened");
        let child = Command::new(binary())
            .args(args)
            .envs(env.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("the log file can be shared"))
            .stderr(out)
            .spawn()
            .expect("inkwire starts");
        Self { child, log: log.to_owned() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and waits until it is gone.
    pub fn kill9(&mut self) {
        // Already gone is as good: the caller wants it dead.
        let _gone = self.child.kill();
        self.child.wait().expect("the child can be waited for");
    }

    /// SIGTERM, and waits at most this long for it to end by itself. Returns whether it did.
    pub fn terminate(&mut self, within: Duration) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("the child is ours to signal");
        wait_until(within, || self.has_ended())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_some()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The `inkwire` binary beside this test's own.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("INKWIRE_BIN") {
        return path.into();
    }
    let mut at = std::env::current_exe().expect("a test knows its own path");
    while at.pop() {
        let candidate = at.join(format!("inkwire{}", std::env::consts::EXE_SUFFIX));
        if candidate.is_file() {
            return candidate;
        }
    }
    panic!("the inkwire binary is not built: run `cargo build -p inkwire` first, or set INKWIRE_BIN");
}

/// Asks again and again until it holds; false when it does not in time.
pub fn wait_until(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Resident memory of a process now.
pub fn rss_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells VmRSS");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("VmRSS is a number");
    kib * 1024
}
