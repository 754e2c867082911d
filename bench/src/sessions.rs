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
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

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
    tell: mpsc::Sender<()>,
    taken: mpsc::Receiver<()>,
    count: usize,
    /// After this time the last one had begun: it dialled, or waited for its turn.
    pub(crate) all_begun: Duration,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        let (tell, taken) = mpsc::channel(DIALLING);
        Self { lives: JoinSet::new(), tell, taken, count: 0, all_begun: Duration::ZERO }
    }

    /// Connects so many, their signs of life spread over the interval. One that is refused is an error.
    pub(crate) async fn connect<H: Host>(host: &Arc<H>, count: usize) -> Result<Self> {
        let mut crowd = Self::new();
        crowd.grow(host, count).await?;
        Ok(crowd)
    }

    /// The same for those that are missing from so many.
    pub(crate) async fn grow<H: Host>(&mut self, host: &Arc<H>, count: usize) -> Result<()> {
        self.storm(host, count, DIALLING).await.into_iter().next().map_or(Ok(()), Err)
    }

    /// As many as can be of those that are missing from so many, and why the others could not: all of them want to come at
    /// once, and so many handshakes are in flight.
    pub(crate) async fn storm<H: Host>(
        &mut self,
        host: &Arc<H>,
        count: usize,
        in_flight: usize,
    ) -> Vec<anyhow::Error> {
        let (began, gate) = (Instant::now(), Arc::new(Semaphore::new(in_flight)));
        let mut dialled = JoinSet::new();
        for number in self.count..count {
            let (host, tell, gate) = (Arc::clone(host), self.tell.clone(), Arc::clone(&gate));
            let first_after = SIGN_OF_LIFE.mul_f64(number as f64 / count as f64);
            dialled.spawn(async move {
                let begun = began.elapsed();
                let _permit = gate.acquire().await;
                (begun, host.connect(number, first_after, tell).await)
            });
        }
        self.count = count;
        let mut failures = Vec::new();
        while let Some(one) = dialled.join_next().await {
            let life = one.context("a client").and_then(|(begun, life)| {
                self.all_begun = self.all_begun.max(begun);
                life
            });
            match life {
                Ok(life) => drop(self.lives.spawn(life)),
                Err(error) => failures.push(error),
            }
        }
        failures
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
