//! What others say forges no line of a log, and what is secret stands in no log, no answer and no core dump.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use inkwire_client::new_job;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{PAIR_PATH, PAIR_SUBPROTOCOL};
use inkwire_tests::lab::{Agent, Broker, Printer, binary, wait_until};
use inkwire_tests::peer::{Heard, Peer};
use inkwire_tests::{documents, sink};
use serde_json::{Value, json};

use super::RAW;
use crate::support::{client, printers_online, reaches};

/// Everything of ours; what libraries say at this level is not meant for operators.
const LOUD: [(&str, &str); 1] = [(
    "INKWIRE_LOG",
    "debug,inkwire=trace,inkwire_broker=trace,inkwire_agent=trace,inkwire_transport=trace,tungstenite=info",
)];
const HOSTILE: &str = "x\n2026-11-22T00:00:00.000000Z  INFO forged: all is well\r\u{1b}[2J";

fn log_of(broker: &Broker) -> String {
    std::fs::read_to_string(broker.data().with_file_name("broker.log")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_titles_and_paths_forge_no_line_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start_with(&dir.path().join("broker"), &[], &LOUD);
    let client = client(&broker, "submit").await;
    let sink = sink::Socket::listen(None);
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &[Printer::new("raw", sink.uri())]);
    agent.env(LOUD[0].0, LOUD[0].1);
    agent.start();
    printers_online(&client, 1).await;
    let mut job = new_job("raw", RAW);
    job.title = HOSTILE.to_owned();
    let job = client.submit(job, documents::zpl(1)).await;
    if let Ok(job) = job {
        reaches(&client, job.id, &[State::Completed]).await;
    }
    // A stranger's words, at every door that takes some.
    let url = &broker.ready().pair_url;
    let mut pairing = Peer::upgrade(url, PAIR_PATH, PAIR_SUBPROTOCOL, None).unwrap();
    let pair = json!({"type": "pair", "public_key": HOSTILE, "proof": HOSTILE, "hostname": HOSTILE, "os": HOSTILE,
        "version": HOSTILE, "enrolment": HOSTILE});
    let Heard::Text(_) = pairing.hear() else { panic!("no challenge") };
    pairing.text(&pair.to_string());
    pairing.closed();
    let mut peer = Peer::open(url);
    let encoded = "%0a2026-11-22T00:00:00Z%20INFO%20forged:%1b[2J";
    peer.raw(
        format!("GET /v1/{encoded} HTTP/1.1\r\nhost: {encoded}\r\nuser-agent: \u{1b}[2J\r\n\r\n").as_bytes(),
    );
    let body = json!({"user": HOSTILE, "password": HOSTILE}).to_string();
    let mut peer = Peer::open(url);
    let head = format!(
        "POST /v1/session HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    peer.raw((head + &body).as_bytes());
    let Err(_) = Peer::upgrade(url, "/v1/jobs", HOSTILE.lines().next().unwrap(), Some("a\tb")) else {
        panic!("a key that is none was taken")
    };
    assert!(wait_until(Duration::from_secs(5), || log_of(&broker).contains("request refused")));
    for (who, log) in [("broker", log_of(&broker)), ("agent", agent.log())] {
        assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{who}: a control character came through");
        let forged = log.lines().find(|line| line.starts_with("2026-11-22T00:00:00"));
        assert_eq!(forged, None, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_a_log_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("broker.toml");
    std::fs::write(&config, "[outbound]\nallow = [\"127.0.0.0/8\"]\n").unwrap();
    let args = ["--config", config.to_str().unwrap()];
    let broker = Broker::start_with(&dir.path().join("broker"), &args, &LOUD);
    let client = client(&broker, "admin").await;
    let key = broker.key("admin");
    let url = broker.ready().pair_url.clone();
    let sink = sink::Socket::listen(None);
    let enrolment = broker.enrolment();
    let mut agent = Agent::pair(&dir.path().join("agent"), &broker, &[Printer::new("raw", sink.uri())]);
    agent.env(LOUD[0].0, LOUD[0].1);
    agent.start();
    printers_online(&client, 1).await;
    let secret_document = b"^XA^FDthe-document-itself-is-secret^FS^XZ".to_vec();
    let job = client.submit(new_job("raw", RAW), secret_document).await.unwrap();
    reaches(&client, job.id, &[State::Completed]).await;
    let link = broker.admin(&["user", "link", "owner"])["link"].as_str().unwrap().to_owned();
    let link = link.split("token=").nth(1).unwrap().split('#').next().unwrap().to_owned();

    let mut secrets = vec![key.clone(), enrolment.clone(), link.clone(), "the-document-itself".to_owned()];
    let mut answers = String::new();
    let mut ask = |method: &str, path: &str, bearer: Option<&str>, body: &Value| -> Value {
        let (text, answer) = request(&url, method, path, bearer, body);
        answers.push_str(&text);
        answer
    };
    let password = "correct horse battery staple".to_owned();
    let token = ask("POST", "/v1/tokens", Some(&key), &json!({"scope": "read"}));
    let ticket = ask("POST", "/v1/tickets", Some(&key), &json!({}));
    let hook = json!({"name": "h", "url": "http://127.0.0.1:9/", "kinds": ["job."]});
    let hook = ask("POST", "/v1/webhooks", Some(&key), &hook);
    for (answer, name) in [(&token, "token"), (&ticket, "token"), (&hook, "secret")] {
        secrets.push(answer[name].as_str().unwrap_or_else(|| panic!("{name}: {answer}")).to_owned());
    }
    // Errors that could quote what they refuse.
    answers.clear();
    let mut refusals = String::new();
    for (method, path, bearer, body) in [
        ("POST", "/v1/session", None, json!({"user": "owner", "password": password})),
        ("POST", "/v1/session", None, json!({"link": link + "x"})),
        ("POST", "/v1/session", None, json!({"user": 7, "password": password})),
        ("GET", "/v1/jobs", Some(key.clone() + "x"), Value::Null),
        ("POST", "/v1/keys", Some(key.clone()), json!({"name": key, "scope": enrolment})),
    ] {
        refusals.push_str(&request(&url, method, path, bearer.as_deref(), &body).0);
    }
    secrets.push(password);
    for secret in &secrets {
        for (who, log) in [("the broker's log", log_of(&broker)), ("the agent's log", agent.log())] {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{secret} stands in {who}");
        }
        // What one has just sent oneself may stand in one's own answer; a longer one of somebody else's may not.
        let quoted = refusals.contains(secret.as_str()) && *secret != key && *secret != enrolment;
        assert!(!quoted, "{secret} stands in an answer: {refusals}");
    }
    let state = std::fs::read(agent.state().join("device.key")).unwrap();
    assert!(!agent.log().as_bytes().windows(16).any(|bytes| bytes == &state[state.len() - 16..]));
}

/// One request by hand: all of the answer, and its body as JSON.
fn request(url: &str, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> (String, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let bearer = bearer.map(|it| format!("authorization: Bearer {it}\r\n")).unwrap_or_default();
    let mut peer = Peer::open(url);
    peer.raw(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: b\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{bearer}\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let text = peer.rest();
    let answer = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let answer = serde_json::from_str(answer).unwrap_or(Value::Null);
    (text, answer)
}

/// Whether a program that dies of SIGSEGV leaves a core dump.
fn dumps(program: &mut Command, ready: impl FnOnce() -> bool) -> bool {
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(ready());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    child.wait().unwrap().core_dumped()
}

#[test]
fn a_daemon_that_crashes_leaves_no_core_dump() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let is_there = |name: &str| wait_until(Duration::from_secs(20), || dir.path().join(name).exists());
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(dir.path()).args(["-c", "echo > ready; exec sleep 60"]);
    println!("anything else leaves one here: {}", dumps(&mut shell, || is_there("ready")));
    let mut broker = Command::new(binary());
    broker.current_dir(dir.path()).args(["broker", "--data", "data", "--listen", "127.0.0.1:0"]);
    broker.args(["--ready-file", "broker.json"]);
    assert!(!dumps(&mut broker, || is_there("broker.json")));
    let broker = Broker::start(&dir.path().join("other"));
    let agent =
        Agent::pair(&dir.path().join("agent"), &broker, &[Printer::new("off", "socket://127.0.0.1:9")]);
    let mut process = Command::new(binary());
    process.current_dir(dir.path()).args(["agent", "--config", "agent/agent.toml"]);
    let ledger = agent.state().join("status.json");
    assert!(!dumps(&mut process, || wait_until(Duration::from_secs(20), || ledger.exists())));
}
