//! A broker with its own data folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::process::{Process, binary, wait_until};

/// What the broker writes when it serves (`--ready-file`).
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its URL with the pin of its certificate authority.
    pub pair_url: String,
}

/// A broker process.
#[derive(Debug)]
pub struct Broker {
    dir: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    process: Process,
    ready: Ready,
}

impl Broker {
    /// Starts a broker in an empty folder on a port of its own.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[], &[])
    }

    /// The same with more arguments and environment variables.
    pub fn start_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_at(dir, "127.0.0.1:0", args, env)
    }

    /// The same at an address of the caller's choice.
    pub fn start_at(dir: &Path, listen: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(dir).expect("the data folder can be made");
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let env: Vec<(String, String)> = env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (process, ready) = launch(dir, listen, &args, &env);
        Self { dir: dir.to_owned(), args, env, process, ready }
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again on the same port, after [`Broker::kill9`] or an orderly end.
    pub fn restart(&mut self) {
        let listen = self.ready.listen.to_string();
        let (process, ready) = launch(&self.dir, &listen, &self.args, &self.env);
        self.process = process;
        self.ready = ready;
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// `inkwire admin ... --json` over its socket.
    pub fn admin(&self, args: &[&str]) -> Value {
        let data = self.data();
        let output = std::process::Command::new(binary())
            .args(["admin", "--data"])
            .arg(&data)
            .args(args)
            .arg("--json")
            .output()
            .expect("inkwire admin starts");
        assert!(output.status.success(), "admin {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("admin prints JSON")
    }

    /// A new API key of this scope (`read`, `submit`, `admin`).
    pub fn key(&self, scope: &str) -> String {
        let answer = self.admin(&["key", "create", "--scope", scope, "--name", "test"]);
        answer["key"].as_str().expect("the answer has the key").to_owned()
    }

    /// A one-use enrolment token.
    pub fn enrolment(&self) -> String {
        let answer = self.admin(&["enrolment", "create"]);
        answer["token"].as_str().expect("the answer has the token").to_owned()
    }
}

fn launch(dir: &Path, listen: &str, args: &[String], env: &[(String, String)]) -> (Process, Ready) {
    let data = dir.join("data");
    let ready_file = dir.join("ready.json");
    if ready_file.exists() {
        std::fs::remove_file(&ready_file).expect("the old ready file can be removed");
    }
    let mut all =
        vec!["broker", "--data", path(&data), "--listen", listen, "--ready-file", path(&ready_file)];
    all.extend(args.iter().map(String::as_str));
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut process = Process::inkwire(&all, &env, &dir.join("broker.log"));
    let mut ready = None;
    let came = wait_until(Duration::from_secs(60), || {
        ready = std::fs::read(&ready_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        ready.is_some() || process.has_ended()
    });
    match ready {
        Some(ready) if came => (process, ready),
        _ => panic!("the broker did not get ready:\n{}", process.log()),
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
