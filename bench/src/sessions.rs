//! Idle sessions by the thousand, at our broker and at the peers', treated alike: TLS WebSocket, one subscription (ours: an
//! authenticated agent with two printers), a sign of life every 25 s.

mod inkwire;
mod mosquitto;
mod nats;

pub(crate) use inkwire::Agents;
pub(crate) use mosquitto::MqttClients;
pub(crate) use nats::NatsClients;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Our default report interval, and so everybody's.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(25);
/// What every session takes once.
pub(crate) const DOCUMENT_BYTES: usize = 64 * 1024;
/// Handshakes in flight at once, where nobody is in a hurry.
const DIALLING: usize = 64;
/// All documents have come by then.
const DOCUMENTS_WITHIN: Duration = Duration::from_secs(300);

/// A session's life: it ends only with an error.
pub(crate) type Life = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Where sessions go.
pub(crate) trait Host: Send + Sync + 'static {
    /// The server's process.
    fn pid(&self) -> u32;

    /// kill -9, and the same server again on the same ports and data; returns when it listens.
    fn restart(&mut self) -> Result<()>;

    /// Connects session `number`; `first_after` is its first sign of life, `taken` hears of its document.
    fn connect(
        &self,
        number: usize,
        first_after: Duration,
        taken: mpsc::Sender<()>,
    ) -> impl Future<Output = Result<Life>> + Send;

    /// Sends a document to each of the sessions.
    fn documents(&self, sessions: usize) -> impl Future<Output = Result<()>> + Send;
}

/// Sessions that live.
#[derive(Debug)]
pub(crate) struct Crowd {
    lives: JoinSet<Result<()>>,
    taken: mpsc::Receiver<()>,
    count: usize,
}

impl Crowd {
    /// Connects so many, their signs of life spread over the interval. One that is refused is an error.
    pub(crate) async fn connect<H: Host>(host: &Arc<H>, count: usize) -> Result<Self> {
        let (crowd, failures) = Self::storm(host, count, DIALLING).await;
        match failures.into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(crowd),
        }
    }

    /// As many as can be of so many, with so many handshakes in flight, and why the others could not.
    pub(crate) async fn storm<H: Host>(
        host: &Arc<H>,
        count: usize,
        in_flight: usize,
    ) -> (Self, Vec<anyhow::Error>) {
        let (tell, taken) = mpsc::channel(DIALLING);
        let mut dialled = stream::iter(0..count)
            .map(|number| {
                let (host, tell) = (Arc::clone(host), tell.clone());
                let first_after = SIGN_OF_LIFE.mul_f64(number as f64 / count as f64);
                async move { host.connect(number, first_after, tell).await }
            })
            .buffer_unordered(in_flight);
        let (mut lives, mut failures) = (JoinSet::new(), Vec::new());
        while let Some(life) = dialled.next().await {
            match life {
                Ok(life) => drop(lives.spawn(life)),
                Err(error) => failures.push(error),
            }
        }
        (Self { lives, taken, count }, failures)
    }

    /// Waits so long. A session that ends meanwhile is an error.
    pub(crate) async fn live(&mut self, time: Duration) -> Result<()> {
        match timeout(time, self.lives.join_next()).await {
            Err(_) => Ok(()),
            Ok(Some(ended)) => ended.context("a session")?.context("a session ended"),
            Ok(None) => bail!("there is no session"),
        }
    }

    /// Gives every session its document and waits until all have it.
    pub(crate) async fn take_documents<H: Host>(&mut self, host: &Arc<H>) -> Result<()> {
        let (count, sender) = (self.count, Arc::clone(host));
        let sending = tokio::spawn(async move { sender.documents(count).await });
        let all = async {
            for _ in 0..count {
                self.taken.recv().await.context("the sessions ended")?;
            }
            anyhow::Ok(())
        };
        timeout(DOCUMENTS_WITHIN, all).await.context("not all documents came in time")??;
        sending.await.context("the sender")?
    }
}

/// The address that session `number` speaks from: ports of one address are fewer than sessions.
pub(crate) fn source(number: usize) -> IpAddr {
    let (high, low) = (number / 250, number % 250);
    IpAddr::V4(Ipv4Addr::new(127, 1, (high % 250) as u8, (low + 1) as u8))
}
