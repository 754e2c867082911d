//! A broker in a process of its own, ended by kill -9 while events go to a webhook.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use inkwire_broker::{Broker, Config, OneOrMany, RawConfig};
use inkwire_transport::{BrokerUrl, ClockOffset, Trust, client_config};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::device::Device;
use crate::hook::Hook;
use crate::lab::{LONG, Lab};

/// Names the folder of a broker that this very binary is to be.
const FOLDER: &str = "INKWIRE_TEST_BROKER";
const KILLS: usize = 6;
const JOBS: usize = 30;

fn config(folder: &Path) -> Config {
    let mut raw = RawConfig {
        data_dir: Some(folder.join("data")),
        listen: Some(OneOrMany::One("127.0.0.1:0".into())),
        ..RawConfig::default()
    };
    raw.outbound.allow = vec!["127.0.0.0/8".into()];
    Config::try_from(raw).unwrap()
}

/// Not a test: the process that is killed. Does nothing unless it is told to.
#[tokio::test]
async fn a_broker_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let broker = Broker::start(config(folder), CancellationToken::new()).await.unwrap();
    let ready = folder.join("ready");
    std::fs::write(ready.with_extension("new"), broker.url().to_string()).unwrap();
    std::fs::rename(ready.with_extension("new"), ready).unwrap();
    broker.stopped().await.unwrap();
}

struct Process {
    child: Child,
    url: BrokerUrl,
}

impl Process {
    async fn start(folder: &Path) -> Self {
        let ready = folder.join("ready");
        drop(std::fs::remove_file(&ready));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::a_broker_of_its_own", "--exact"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let waiting = async {
            loop {
                if let Ok(url) = std::fs::read_to_string(&ready) {
                    return url.parse().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let url = tokio::time::timeout(LONG, waiting).await.unwrap();
        Self { child, url }
    }

    /// A REST request; none where the broker is gone meanwhile.
    async fn ask(&self, method: Method, path: &str, key: &str, body: &Value) -> Option<Value> {
        let tls = client_config(Trust::of(&self.url), Arc::new(ClockOffset::new())).unwrap();
        let tcp = tokio::net::TcpStream::connect((self.url.host(), self.url.port())).await.ok()?;
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let tls = tokio_rustls::TlsConnector::from(tls).connect(name, tcp).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.ok()?;
        tokio::spawn(connection);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.url.authority())
            .header("authorization", format!("Bearer {key}"))
            .body(Full::new(body))
            .unwrap();
        let response = sender.send_request(request).await.ok()?;
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_a_webhook_although_the_broker_is_killed() {
    let hook = Hook::start().await;
    let lab = Lab::start_with(|raw| raw.outbound.allow = vec!["127.0.0.0/8".into()]).await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let key = lab.key("admin").await;
    let made = lab.rest(Method::POST, "/v1/webhooks", Some(&key), json!({"url": hook.url("/")})).await;
    let from = made.json()["webhook"]["through"].as_u64().unwrap();
    drop(link);
    let (folder, stopped) = lab.stop().await;
    stopped.unwrap();

    let label = json!({"printer": "labels", "format": "text/plain", "content": {"inline": "eA=="}});
    let mut accepted = BTreeSet::new();
    for round in 0..KILLS {
        let process = Process::start(folder.path()).await;
        let before = hook.received().len();
        let submit = async {
            for _ in 0..JOBS {
                let Some(made) = process.ask(Method::POST, "/v1/jobs", &key, &label).await else { break };
                accepted.insert(made["job"]["id"].as_str().unwrap().to_owned());
            }
        };
        // Killed while jobs and events are on their way: at another place each time.
        let delivered = hook.wait_for(|all| all.len() >= before + 3 + round * 4);
        {
            tokio::pin!(submit, delivered);
            tokio::select! {
                _ = &mut delivered => {}
                () = &mut submit => drop(delivered.await),
            }
        }
        process.kill9();
    }
    assert!(accepted.len() >= KILLS, "{}", accepted.len());

    let process = Process::start(folder.path()).await;
    let mut epoch = String::new();
    let mut wanted = BTreeMap::new();
    let mut path = "/v1/events?limit=500".to_owned();
    loop {
        let page = process.ask(Method::GET, &path, &key, &Value::Null).await.unwrap();
        let next = page["next"].as_str().unwrap();
        next.split(':').next().unwrap().replace('-', "").clone_into(&mut epoch);
        for event in page["events"].as_array().unwrap() {
            wanted.insert(event["offset"].as_u64().unwrap(), event.clone());
        }
        if page["more"] == false {
            break;
        }
        path = format!("/v1/events?limit=500&after={next}");
    }
    wanted.retain(|offset, _| *offset > from);
    let newest = *wanted.last_key_value().unwrap().0;
    let last = format!("evt_{epoch}_{newest}");
    let received = hook.wait_for(|all| all.iter().any(|request| request.id() == last)).await;
    let mut seen: BTreeMap<u64, Bytes> = BTreeMap::new();
    let mut highest = from;
    for request in &received {
        let event = request.json()["data"].clone();
        let offset = event["offset"].as_u64().unwrap();
        assert_eq!(request.id(), format!("evt_{epoch}_{offset}"), "one event, one name");
        assert_eq!(wanted[&offset], event);
        assert!(offset <= highest + 1, "{offset} came after {highest}: one was left out");
        highest = highest.max(offset);
        let first = seen.entry(offset).or_insert_with(|| request.body.clone());
        assert_eq!(first, &request.body, "the same event is the same message");
    }
    assert!(seen.keys().eq(wanted.keys()), "every event came");
    let told: BTreeSet<_> =
        wanted.values().filter_map(|event| event["job"].as_str().map(str::to_owned)).collect();
    assert!(accepted.is_subset(&told), "every accepted job was told");
    let twice = received.len() - seen.len();
    assert!(twice <= KILLS * 16, "{twice} were sent more than once");
    process.kill9();
}
