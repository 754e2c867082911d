//! An agent with its own state folder and printers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::broker::{Broker, path};
use super::process::{Process, binary};

/// A printer of the agent's configuration.
#[derive(Debug, Clone)]
pub struct Printer {
    /// Its name.
    pub name: String,
    /// Its URI, such as `socket://127.0.0.1:9100`.
    pub uri: String,
    /// MIME types that it takes; empty for the back-end's default.
    pub formats: Vec<String>,
    /// More lines of its table in the configuration, as TOML.
    pub more: String,
}

impl Printer {
    /// A printer that takes what its back-end takes by default.
    pub fn new(name: &str, uri: impl Into<String>) -> Self {
        Self { name: name.to_owned(), uri: uri.into(), formats: Vec::new(), more: String::new() }
    }
}

/// An agent process.
#[derive(Debug)]
pub struct Agent {
    dir: PathBuf,
    env: Vec<(String, String)>,
    settings: String,
    process: Option<Process>,
}

impl Agent {
    /// Pairs a new agent by an enrolment token and writes its configuration; it is not started yet.
    pub fn pair(dir: &Path, broker: &Broker, printers: &[Printer]) -> Self {
        Self::pair_at(dir, broker, &broker.ready().pair_url, printers)
    }

    /// The same where the broker is dialled at another URL than its own: through a router.
    pub fn pair_at(dir: &Path, broker: &Broker, url: &str, printers: &[Printer]) -> Self {
        std::fs::create_dir_all(dir).expect("the agent's folder can be made");
        let state = dir.join("state");
        let token = broker.enrolment();
        let output = std::process::Command::new(binary())
            .args(["agent", "pair", url, "--enrolment", &token, "--state"])
            .arg(&state)
            .output()
            .expect("inkwire agent pair starts");
        assert!(output.status.success(), "pairing failed: {}", String::from_utf8_lossy(&output.stderr));
        let agent = Self { dir: dir.to_owned(), env: Vec::new(), settings: String::new(), process: None };
        agent.configure(printers);
        agent
    }

    /// Takes a folder that holds the state of an agent that was paired elsewhere.
    pub fn adopt(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), env: Vec::new(), settings: String::new(), process: None }
    }

    /// More lines for the head of its configuration, as TOML; written by the next [`Agent::configure`].
    pub fn settings(&mut self, settings: &str) {
        settings.clone_into(&mut self.settings);
    }

    /// Writes its configuration anew.
    pub fn configure(&self, printers: &[Printer]) {
        let mut text = format!("state_dir = {:?}\ndiscover_cups = false\n{}", self.state(), self.settings);
        for printer in printers {
            write!(text, "\n[[printer]]\nname = {:?}\nuri = {:?}\n", printer.name, printer.uri)
                .expect("text");
            if !printer.formats.is_empty() {
                writeln!(text, "formats = {:?}", printer.formats).expect("text");
            }
            text.push_str(&printer.more);
        }
        std::fs::write(self.dir.join("agent.toml"), text).expect("the configuration can be written");
    }

    /// Sets an environment variable for the next start.
    pub fn env(&mut self, key: &str, value: &str) {
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Starts it.
    pub fn start(&mut self) {
        let config = self.dir.join("agent.toml");
        let env: Vec<(&str, &str)> = self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let log = self.dir.join("agent.log");
        self.process = Some(Process::inkwire(&["agent", "--config", path(&config)], &env, &log));
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// The process; it must have been started.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the agent was started")
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// What it has logged, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default()
    }
}
