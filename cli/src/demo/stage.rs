//! The processes of the demo, all of this very program, each ended by its own id.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::router::Note;
use super::sent::Sent;
use crate::commands::demo_router::Order;
use crate::exit::Failure;

/// Each process is ready by then.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// ... and has ended by then, or is killed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of a process's log that are kept for an error.
const TAIL_LINES: usize = 12;

/// One process. Dropping it kills it, so that no path leaves one behind.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    tail: Arc<Mutex<Vec<String>>>,
}

/// What a broker writes when it serves.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ready {
    pub(super) listen: SocketAddr,
    pub(super) url: String,
    pub(super) pin: String,
    pub(super) admin_socket: PathBuf,
    /// The console on plain HTTP for this machine.
    pub(super) console: Option<String>,
    /// The owner's one-time sign-in link.
    pub(super) sign_in: Option<String>,
}

impl Ready {
    /// The sign-in link for this machine's own browsers: no certificate stands in their way.
    pub(super) fn console_link(&self) -> Option<String> {
        let (_, path) = self.sign_in.as_deref()?.split_once("/sign-in")?;
        Some(format!("{}sign-in{path}", self.console.as_deref()?))
    }
}

/// The router's process with its orders and notes.
#[derive(Debug)]
pub(super) struct RouterProcess {
    pub(super) process: Process,
    pub(super) lan: SocketAddr,
    orders: ChildStdin,
    pub(super) notes: mpsc::Receiver<Note>,
}

impl Process {
    /// Starts this program with other arguments; its log is read line by line.
    fn start(
        name: &'static str,
        command: &mut Command,
        mut on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self, Failure> {
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the demo's {name}"))?;
        let tail = Arc::new(Mutex::new(Vec::new()));
        if let Some(log) = child.stderr.take() {
            let tail = Arc::clone(&tail);
            tokio::spawn(read_lines(log, move |line| {
                on_line(&line);
                if let Ok(mut tail) = tail.lock() {
                    if tail.len() >= TAIL_LINES {
                        tail.remove(0);
                    }
                    tail.push(line);
                }
                true
            }));
        }
        Ok(Self { name, child, tail })
    }

    /// The process has ended although it should not have; its last words.
    fn ended(&self, status: std::process::ExitStatus) -> Failure {
        let tail = self.tail.lock().map(|tail| tail.join("\n  ")).unwrap_or_default();
        Failure::from(anyhow!("the demo's {} ended ({status}); its last words:\n  {tail}", self.name))
    }

    /// An error where the process has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// Waits for an end with exit code 0.
    async fn succeed(mut self) -> Result<(), Failure> {
        let status = timeout(READY_WITHIN, self.child.wait())
            .await
            .map_err(|_| anyhow!("the demo's {} did not end within {READY_WITHIN:?}", self.name))??;
        if status.success() { Ok(()) } else { Err(self.ended(status)) }
    }

    /// Asks it to end, and kills it where it does not.
    pub(super) async fn end(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(rustix::process::Pid::from_raw)
            && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        {
            tracing::debug!(name = self.name, %error, "it has ended already");
        }
        if timeout(END_WITHIN, self.child.wait()).await.is_err()
            && let Err(error) = self.child.kill().await
        {
            tracing::debug!(name = self.name, %error, "it cannot be killed");
        }
    }
}

fn this_program() -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--end-with-parent").stdin(Stdio::null()).stdout(Stdio::null());
    // The demo is its own world: nothing of the caller's settings gets in.
    for variable in ["INKWIRE_URL", "INKWIRE_KEY", "INKWIRE_LOG", "INKWIRE_DATA", "INKWIRE_ENROLMENT"] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// A broker with its own data folder, which logs each packet; what it sends is counted.
pub(super) async fn start_broker(dir: &Path, sent: Arc<Mutex<Sent>>) -> Result<(Process, Ready), Failure> {
    let ready_file = dir.join("ready.json");
    let mut command = this_program()?;
    command.arg("broker").arg("--data").arg(dir.join("broker")).args([
        "--listen",
        "127.0.0.1:0",
        "--console-listen",
        "127.0.0.1:0",
    ]);
    command.arg("--ready-file").arg(&ready_file);
    command.args(["--log-json", "--log", "info,inkwire_broker::sessions=trace"]);
    let count = move |line: &str| {
        if let Ok(mut sent) = sent.lock() {
            sent.on_line(line);
        }
    };
    let mut process = Process::start("broker", &mut command, count)?;
    let give_up_at = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(text) = std::fs::read(&ready_file) {
            let ready =
                serde_json::from_slice(&text).context("the broker's ready file was not understood")?;
            return Ok((process, ready));
        }
        process.check()?;
        if Instant::now() >= give_up_at {
            return Err(anyhow!("the demo's broker was not ready within {READY_WITHIN:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The home router, at first at the public address `public`.
pub(super) async fn start_router(broker: SocketAddr, public: IpAddr) -> Result<RouterProcess, Failure> {
    let mut command = this_program()?;
    command.arg("demo-router").args(["--broker", &broker.to_string(), "--public", &public.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start("router", &mut command, |_| ())?;
    let (orders, output) = (process.child.stdin.take(), process.child.stdout.take());
    let (Some(orders), Some(output)) = (orders, output) else {
        return Err(anyhow!("the demo's router has no pipes").into());
    };
    let (sender, mut notes) = mpsc::channel(256);
    tokio::spawn(read_lines(output, move |line| match serde_json::from_str(&line) {
        Ok(note) => sender.try_send(note).is_ok(),
        Err(_) => true,
    }));
    match timeout(READY_WITHIN, notes.recv()).await {
        Ok(Some(Note::Listening { lan })) => Ok(RouterProcess { process, lan, orders, notes }),
        Ok(_) | Err(_) => {
            process.check()?;
            Err(anyhow!("the demo's router did not say where it listens").into())
        }
    }
}

impl RouterProcess {
    pub(super) async fn order(&mut self, order: &Order) -> Result<(), Failure> {
        let mut line = serde_json::to_string(order).map_err(anyhow::Error::from)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await.context("the demo's router is gone")?;
        Ok(self.orders.flush().await?)
    }
}

/// Pairs an agent through the router and starts it with one `directory` printer.
pub(super) async fn start_agent(
    dir: &Path,
    url: &str,
    enrolment: &str,
    printer: &str,
) -> Result<Process, Failure> {
    let state = dir.join("agent");
    let mut pairing = this_program()?;
    pairing.args(["agent", "pair", url]).arg("--state").arg(&state).env("INKWIRE_ENROLMENT", enrolment);
    Process::start("pairing", &mut pairing, |_| ())?.succeed().await?;
    let config = dir.join("agent.toml");
    let printed = printed_dir(dir);
    std::fs::create_dir_all(&printed)?;
    let uri = url::Url::from_file_path(&printed)
        .map_err(|()| anyhow!("{} is no path for a URL", printed.display()))?;
    let uri = uri.as_str().replacen("file:", "directory:", 1);
    let mut table = toml::Table::new();
    table.insert("state_dir".into(), state.to_string_lossy().into_owned().into());
    table.insert("discover_cups".into(), false.into());
    let entry: toml::Table = [("name", printer), ("uri", uri.as_str())]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), toml::Value::from(value)))
        .collect();
    table.insert("printer".into(), toml::Value::Array(vec![entry.into()]));
    std::fs::write(&config, toml::to_string(&table).map_err(anyhow::Error::from)?)?;
    let mut command = this_program()?;
    command.arg("agent").arg("--config").arg(&config);
    Process::start("agent", &mut command, |_| ())
}

/// Where the demo's printer puts its pages.
pub(super) fn printed_dir(dir: &Path) -> PathBuf {
    dir.join("printed")
}

async fn read_lines(from: impl AsyncRead + Unpin, mut on_line: impl FnMut(String) -> bool) {
    let mut lines = BufReader::new(from).lines();
    // An error is the end of the process's output as well.
    while let Ok(Some(line)) = lines.next_line().await {
        if !on_line(line) {
            return;
        }
    }
}
