//! One peer's process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A server that does not listen by then will not.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);
/// An orderly end takes at most this long; then it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    program: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
    listens: Vec<SocketAddr>,
}

impl Server {
    /// Starts a program by its full path and waits until it listens.
    pub(crate) fn start<S: AsRef<OsStr>>(
        program: &Path,
        args: impl IntoIterator<Item = S>,
        log: &Path,
        listens: &[SocketAddr],
    ) -> Result<Self> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let child = spawn(program, &args, log)?;
        let server =
            Self { child, program: program.to_owned(), args, log: log.to_owned(), listens: listens.to_vec() };
        server.await_ports()?;
        Ok(server)
    }

    /// kill -9, and the same again; returns when it listens.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.child.kill().context("the process")?;
        self.child.wait().context("the process")?;
        self.child = spawn(&self.program, &self.args, &self.log)?;
        self.await_ports()
    }

    fn await_ports(&self) -> Result<()> {
        let mut all = self.listens.iter();
        all.try_for_each(|address| self.await_port(*address))
            .with_context(|| self.program.display().to_string())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn await_port(&self, address: SocketAddr) -> Result<()> {
        let end = Instant::now() + LISTENS_WITHIN;
        while std::net::TcpStream::connect(address).is_err() {
            if crate::proc::has_ended(self.id()) || Instant::now() > end {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("does not listen on {address}:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // Whoever has ended already needs no signal.
        let _sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let end = Instant::now() + ENDS_WITHIN;
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn spawn(program: &Path, args: &[OsString], log: &Path) -> Result<Child> {
    let out = File::options().create(true).append(true).open(log);
    let out = out.with_context(|| log.display().to_string())?;
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(out.try_clone().context("the log")?)
        .stderr(out)
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))
}

/// An address of 127.0.0.1 on which nobody listens now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    listener.local_addr().context("a listener has an address")
}

/// What a program says of its version.
pub(crate) fn version_of(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} does not start", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A configuration from `bench/peers` with its `{name}`s filled in.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}
