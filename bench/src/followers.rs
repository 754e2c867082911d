//! A thousand followers of one stream of events, on TLS WebSockets: at our broker and at nats-server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use inkwire_protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_transport::{
    BrokerUrl, ClockOffset, Dial, DialIo, Ready, Socket, SocketConfig, Trust, client_config, dial,
};
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::peers::websocket::WebSocket;
use crate::sessions::source;

/// Handshakes in flight at once.
const DIALLING: usize = 32;
/// A connection stands by then.
const STANDS_WITHIN: Duration = Duration::from_secs(60);

/// Where followers connect.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    Ours { url: BrokerUrl, tls: Arc<ClientConfig>, clock: Arc<ClockOffset>, headers: HeaderMap },
    Nats { websocket: SocketAddr, tls: Arc<ClientConfig> },
}

/// The subject at nats-server.
pub(crate) const SUBJECT: &str = "events";
/// What a follower at our broker asks for.
const KIND: &str = "job.accepted";

impl Feed {
    /// Our broker's, with a key that may read.
    pub(crate) fn ours(url: &str, key: &str) -> Result<Self> {
        let url: BrokerUrl = url.parse().context("the broker's URL")?;
        let clock = Arc::new(ClockOffset::new());
        let tls = client_config(Trust::of(&url), Arc::clone(&clock)).context("TLS")?;
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, format!("Bearer {key}").parse().context("the key")?);
        Ok(Self::Ours { url, tls, clock, headers })
    }

    async fn follow(&self, number: usize) -> Result<Follower> {
        match self {
            Self::Ours { url, tls, clock, headers } => {
                let dialled = dial(Dial {
                    url,
                    tls: Arc::clone(tls),
                    clock,
                    path: APP_PATH,
                    subprotocol: APP_SUBPROTOCOL,
                    headers: headers.clone(),
                    bind: Some(source(number)),
                    deadline: STANDS_WITHIN,
                    socket: SocketConfig::APP,
                });
                subscribe(dialled.await.context("the broker")?.socket).await
            }
            Self::Nats { websocket, tls } => at_nats(*websocket, source(number), tls).await,
        }
    }
}

/// One that follows.
#[derive(Debug)]
enum Follower {
    Ours(Box<Socket<DialIo>>),
    Nats(Box<WebSocket>),
}

async fn subscribe(mut socket: Socket<DialIo>) -> Result<Follower> {
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"kinds": [KIND]}});
    ensure!(socket.queue_text(ask.to_string()).is_ok(), "the broker takes nothing");
    loop {
        match socket.ready(false).await {
            Ready::Text(text) if text.contains("\"error\"") => bail!("no subscription: {text}"),
            Ready::Text(text) if text.contains("\"resumed\"") => return Ok(Follower::Ours(Box::new(socket))),
            Ready::Closed(closed) => bail!("the broker closed: {closed:?}"),
            Ready::Text(_) | Ready::Binary(_) | Ready::Pong { .. } | Ready::Writable => {}
        }
    }
}

async fn at_nats(address: SocketAddr, source: IpAddr, tls: &Arc<ClientConfig>) -> Result<Follower> {
    let mut socket = WebSocket::dial(address, source, tls, None).await?;
    socket.next().await?;
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"lang\":\"bench\",\"version\":\"1\",\"protocol\":1}}\r\nSUB {SUBJECT} 1\r\nPING\r\n"
    );
    socket.send(hello.into_bytes()).await?;
    socket.until(b"PONG\r\n").await?;
    Ok(Follower::Nats(Box::new(socket)))
}

#[derive(Deserialize)]
struct Note {
    params: Option<Run>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    events: Vec<At>,
}

#[derive(Deserialize)]
struct At {
    at_ms: u64,
}

impl Follower {
    /// Takes so many events; milliseconds from when each was made, and the bytes of all of them.
    async fn take(mut self, events: usize) -> Result<(Vec<f32>, usize)> {
        let (mut late, mut bytes) = (Vec::with_capacity(events), 0);
        while late.len() < events {
            match &mut self {
                Self::Ours(socket) => match socket.ready(false).await {
                    Ready::Text(text) => {
                        let note: Note = serde_json::from_str(&text).context("the broker's message")?;
                        let now = now_ms();
                        let run = note.params.map(|run| run.events).unwrap_or_default();
                        bytes += text.len();
                        late.extend(run.iter().map(|at| (now - at.at_ms as f64) as f32));
                    }
                    Ready::Closed(closed) => bail!("the broker closed: {closed:?}"),
                    Ready::Binary(_) | Ready::Pong { .. } | Ready::Writable => {}
                },
                Self::Nats(socket) => {
                    let message = socket.next().await?;
                    bytes += message.len();
                    if message.as_ref() == b"PING\r\n" {
                        socket.send("PONG\r\n").await?;
                    }
                    let now = now_ms();
                    late.extend(stamps(&message).map(|at| (now - at) as f32));
                }
            }
        }
        ensure!(late.len() == events, "{} events came in place of {events}", late.len());
        Ok((late, bytes))
    }
}

/// What stands in our payload at nats-server.
pub(crate) const STAMP: &str = "\"at_ms\":";

fn stamps(message: &[u8]) -> impl Iterator<Item = f64> {
    let text = String::from_utf8_lossy(message).into_owned();
    let all: Vec<f64> = text
        .split(STAMP)
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    all.into_iter()
}

/// Milliseconds since the Unix epoch, as events have them, but with fractions.
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

/// All that follow.
#[derive(Debug)]
pub(crate) struct Following(JoinSet<Result<(Vec<f32>, usize)>>);

impl Following {
    /// So many connect; each takes so many events.
    pub(crate) async fn start(feed: &Feed, followers: usize, events: usize) -> Result<Self> {
        let mut dialled = stream::iter(0..followers)
            .map(|number| {
                let feed = feed.clone();
                async move { feed.follow(number).await }
            })
            .buffer_unordered(DIALLING);
        let mut taking = JoinSet::new();
        while let Some(follower) = dialled.next().await {
            taking.spawn(follower?.take(events));
        }
        Ok(Self(taking))
    }

    /// Every delivery's lateness, and the mean bytes of one; an error where a follower has not got all in time.
    pub(crate) async fn all(mut self, within: Duration) -> Result<(Vec<f64>, f64)> {
        let gather = async {
            let (mut all, mut bytes) = (Vec::new(), 0);
            while let Some(follower) = self.0.join_next().await {
                let (late, took) = follower.context("a follower")??;
                bytes += took;
                all.extend(late.into_iter().map(f64::from));
            }
            anyhow::Ok((all, bytes))
        };
        let (all, bytes) =
            timeout(within, gather).await.context("not every follower got every event in time")??;
        let mean = bytes as f64 / all.len().max(1) as f64;
        Ok((all, mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_from_messages_that_came_together() {
        let two = b"MSG events 1 20\r\n{\"at_ms\":17,\"x\":1}\r\nMSG events 1 20\r\n{\"at_ms\":18}\r\n";
        assert_eq!(stamps(two).collect::<Vec<_>>(), [17.0, 18.0]);
        assert_eq!(stamps(b"PING\r\n").count(), 0);
    }
}
