//! Sessions at our broker: paired agents that speak the real protocol.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use inkwire_client::{Client, new_job};
use inkwire_tests::documents::noise;
use inkwire_tests::fleet::{Member, Route, enrolments};
use inkwire_tests::lab::Broker;
use tokio::sync::mpsc;
use tokio::task::block_in_place;

use super::{DOCUMENT_BYTES, Host, Life};
use crate::agent::Session;

/// Enrolment tokens that are open at once: the broker allows an account 500.
const CROWD: usize = 400;
/// Pairings in flight at once.
const PAIRING: usize = 64;
/// Submissions in flight at once.
const SUBMITTING: usize = 16;

/// Paired agents and their broker.
#[derive(Debug)]
pub(crate) struct Agents {
    pub(crate) broker: Broker,
    pid: u32,
    route: Arc<Route>,
    /// Each is out while it dials.
    members: Vec<Mutex<Option<Member>>>,
}

impl Agents {
    /// Pairs them, and starts the broker anew: what pairing costs is not a session's cost.
    pub(crate) async fn pair(dir: &Path, count: usize) -> Result<Self> {
        let mut broker = block_in_place(|| Broker::start(dir));
        let route = Arc::new(Route::to(&broker.ready().pair_url));
        let mut members = Vec::with_capacity(count);
        while members.len() < count {
            let tokens = enrolments(&broker.data(), CROWD.min(count - members.len())).await;
            let crowd: Vec<Member> = stream::iter((u32::try_from(members.len())?..).zip(tokens))
                .map(|(number, token)| {
                    let route = Arc::clone(&route);
                    tokio::spawn(async move { Member::pair(&route, number, token).await })
                })
                .buffered(PAIRING)
                .try_collect()
                .await
                .context("pairing")?;
            members.extend(crowd);
        }
        block_in_place(|| {
            broker.kill9();
            broker.restart();
        });
        let pid = broker.process().id();
        let members = members.into_iter().map(|member| Mutex::new(Some(member))).collect();
        Ok(Self { broker, pid, route, members })
    }

    /// The name of the first printer of agent `number`.
    pub(crate) fn printer(&self, number: usize) -> Option<String> {
        let member = self.members.get(number)?.lock().unwrap_or_else(PoisonError::into_inner);
        member.as_ref().map(Member::printer)
    }
}

impl Host for Agents {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn restart(&mut self) -> Result<()> {
        self.broker.kill9();
        self.broker.restart();
        self.pid = self.broker.process().id();
        Ok(())
    }

    async fn connect(&self, number: usize, first_after: Duration, taken: mpsc::Sender<()>) -> Result<Life> {
        let place = self.members.get(number).context("no such agent")?;
        let member = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut member = member.context("the agent is connected already")?;
        let route = Arc::clone(&self.route);
        // In a task of its own, because it panics where it fails.
        let dialled = tokio::spawn(async move {
            let (socket, welcome) = member.connect(&route).await;
            (member, socket, welcome)
        });
        let (member, socket, welcome) = dialled.await.context("dialling")?;
        place.lock().unwrap_or_else(PoisonError::into_inner).replace(member);
        Ok(Box::pin(Session::new(socket, &welcome, first_after, taken)?.live()))
    }

    /// To the first printer of each.
    async fn documents(&self, sessions: usize) -> Result<()> {
        let url = self.broker.ready().pair_url.parse().context("the broker's URL")?;
        let app = Client::connect(url, block_in_place(|| self.broker.key("submit"))).await?;
        stream::iter((0..sessions).filter_map(|number| self.printer(number)))
            .map(|printer| {
                let app = &app;
                async move {
                    let job = new_job(printer, "application/octet-stream");
                    app.submit(job, noise(7, DOCUMENT_BYTES)).await
                }
            })
            .buffer_unordered(SUBMITTING)
            .try_for_each(|_| async { Ok(()) })
            .await
            .context("submitting")
    }
}
