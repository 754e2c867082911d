//! Ten thousand requests at once from one key: answered busy, and nobody else is disturbed.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::App;
use crate::lab::{LONG, Lab};

/// Half of the requests come by HTTP, pipelined, and half by WebSocket; each on so many connections ...
const CONNECTIONS: usize = 4;
/// ... with so many requests.
const EACH: usize = 1250;
const ALL: usize = 2 * CONNECTIONS * EACH;

const RATE: u64 = 100;
const BURST: u64 = 200;

/// What came back.
#[derive(Debug, Default)]
struct Count {
    answered: usize,
    busy: usize,
    /// Of the busy ones: those that said when to come back.
    later: usize,
    /// How long the sending alone took.
    sent_in: Duration,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.busy += other.busy;
        self.later += other.later;
        self.sent_in = self.sent_in.max(other.sent_in);
    }
}

async fn by_http(lab: &Lab, key: &str) -> Count {
    let (mut reader, mut writer) = tokio::io::split(lab.tls().await);
    let request = |more: &str| {
        format!("GET /v1/me HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {key}\r\n{more}\r\n")
    };
    let all = request("").repeat(EACH - 1) + &request("connection: close\r\n");
    let since = Instant::now();
    let writing = async {
        writer.write_all(all.as_bytes()).await.unwrap();
        writer.flush().await.unwrap();
        since.elapsed()
    };
    let reading = async {
        let mut text = Vec::new();
        // The broker may end the connection without TLS's good-bye.
        drop(reader.read_to_end(&mut text).await);
        String::from_utf8(text).unwrap()
    };
    let (sent_in, text) = tokio::join!(writing, reading);
    let (answered, busy) = (text.matches("HTTP/1.1 200 OK").count(), text.matches("HTTP/1.1 429 ").count());
    assert_eq!(answered + busy, EACH, "{}", &text[text.len().saturating_sub(400)..]);
    assert_eq!(text.matches("urn:inkwire:problem:busy").count(), busy);
    Count { answered, busy, later: text.matches("\r\nretry-after: ").count(), sent_in }
}

async fn by_websocket(app: &mut App) -> Count {
    let since = Instant::now();
    for id in 0..EACH {
        app.raw(&json!({"jsonrpc": "2.0", "id": id, "method": "me"}).to_string());
    }
    app.socket.flush().await.unwrap();
    let mut count = Count { sent_in: since.elapsed(), ..Count::default() };
    for _ in 0..EACH {
        let answer = app.message().await.unwrap();
        let problem = &answer["error"]["data"];
        match problem["status"].as_u64() {
            None => count.answered += 1,
            Some(429) => {
                assert_eq!(problem["type"], "urn:inkwire:problem:busy", "{answer}");
                count.busy += 1;
                count.later += usize::from(problem["retry_after_s"].as_u64().is_some_and(|wait| wait >= 1));
            }
            Some(_) => panic!("{answer}"),
        }
    }
    count
}

/// What this process keeps in memory: broker and test together.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_from_one_key_are_answered_busy_and_disturb_nobody() {
    let lab = Lab::start_with(|raw| {
        raw.limits.requests_per_s = Some(RATE as u32);
        raw.limits.request_burst = Some(BURST as u32);
    })
    .await;
    let (greedy, other) = (lab.key("read").await, lab.key("read").await);
    lab.admin("account.create", json!({"name": "elsewhere"})).await;
    let stranger = json!({"account": "elsewhere", "name": "stranger", "scope": "read"});
    let stranger = lab.admin("key.create", stranger).await["key"].as_str().unwrap().to_owned();
    let mut apps = Vec::new();
    for _ in 0..CONNECTIONS {
        apps.push(App::connect(&lab, &greedy).await);
    }
    let (mut near, mut far) = (App::connect(&lab, &other).await, App::connect(&lab, &stranger).await);
    let (before, since) = (resident_bytes(), Instant::now());

    let flood = async {
        let http = futures_util::future::join_all((0..CONNECTIONS).map(|_| by_http(&lab, &greedy)));
        let websocket = futures_util::future::join_all(apps.iter_mut().map(by_websocket));
        let (http, websocket) = tokio::join!(http, websocket);
        let mut all = Count::default();
        http.iter().chain(&websocket).for_each(|count| all.add(count));
        all
    };
    // Another key of the account, and another account: every one of their requests is answered, and soon.
    let bystanders = async {
        let mut worst = Duration::ZERO;
        for n in 0..50 {
            let since = Instant::now();
            near.call("agents.list", json!({})).await.unwrap();
            far.call("agents.list", json!({})).await.unwrap();
            if n % 10 == 0 {
                assert_eq!(lab.get("/v1/printers", &other).await.status, 200);
            }
            worst = worst.max(since.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        worst
    };
    let both = async { tokio::join!(flood, bystanders) };
    let (count, worst) = tokio::time::timeout(3 * LONG, both).await.unwrap();
    let took = since.elapsed();
    let grown = resident_bytes().saturating_sub(before);
    println!("{count:?} in {took:?}; bystanders waited {worst:?} at most; {} KiB more", grown / 1024);

    assert_eq!(count.answered + count.busy, ALL);
    assert_eq!(count.later, count.busy, "each says when to come back");
    let most = BURST + RATE * (took.as_secs() + 1);
    assert!((BURST..=most).contains(&(count.answered as u64)), "{} of at most {most}", count.answered);
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes more");
    // Nobody was thrown out, and who has waited is answered again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for app in &mut apps {
        app.call("me", json!({})).await.unwrap();
    }
    let status = lab.admin("status", json!({})).await;
    assert_eq!(status["counters"]["slow"].as_u64().unwrap_or(0), 0, "{status}");
    assert!(status["problems"]["busy"].as_u64().unwrap() >= count.busy as u64, "{status}");
}
