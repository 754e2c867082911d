//! Our own side: a real broker process and real agent processes with printers, as in the end-to-end tests.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use inkwire_client::Client;
use inkwire_protocol::app::{AgentStatus, JobList};
use inkwire_protocol::job::State;
use inkwire_tests::lab::{Agent, Broker, Printer};

/// Agents and printers are there by then, and jobs come to their end.
const WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A broker with agents.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) broker: Broker,
    pub(crate) agents: Vec<Agent>,
}

impl Ours {
    /// `printers` are shared out among `agents` agents; printer number n is called `printer<n>`.
    pub(crate) fn start(dir: &Path, agents: usize, printers: &[SocketAddr]) -> Self {
        Self::start_with(dir, agents, printers, &[])
    }

    /// The same with more arguments for the broker.
    pub(crate) fn start_with(dir: &Path, agents: usize, printers: &[SocketAddr], args: &[&str]) -> Self {
        let broker = Broker::start_with(&dir.join("broker"), args, &[]);
        let mut started = Vec::with_capacity(agents);
        for number in 0..agents {
            let mine = printers.iter().enumerate().filter(|(at, _)| at % agents == number);
            let mine: Vec<_> = mine
                .map(|(at, address)| Printer::new(&format!("printer{at}"), format!("socket://{address}")))
                .collect();
            let mut agent = Agent::pair(&dir.join(format!("agent{number}")), &broker, &mine);
            agent.start();
            started.push(agent);
        }
        Self { broker, agents: started }
    }

    /// Ends all of them: the agents like a cut, the broker in order.
    pub(crate) fn rest(&mut self) -> Result<()> {
        self.agents.iter_mut().for_each(Agent::kill9);
        ensure!(self.broker.process().terminate(WITHIN), "the broker does not end");
        Ok(())
    }

    /// kill -9 of all of them.
    pub(crate) fn kill(&mut self) {
        self.agents.iter_mut().for_each(Agent::kill9);
        self.broker.kill9();
    }

    /// Starts all of them again; how long the broker took until it served.
    pub(crate) fn wake(&mut self) -> Duration {
        let began = Instant::now();
        self.broker.restart();
        let took = began.elapsed();
        self.agents.iter_mut().for_each(Agent::start);
        took
    }

    pub(crate) fn broker_id(&mut self) -> u32 {
        self.broker.process().id()
    }

    pub(crate) fn agent_ids(&mut self) -> Vec<u32> {
        self.agents.iter_mut().map(|agent| agent.process().id()).collect()
    }

    /// So many apps, each with a key and a connection of its own.
    pub(crate) async fn apps(&self, count: usize) -> Result<Vec<Client>> {
        let mut apps = Vec::with_capacity(count);
        for _ in 0..count {
            let url = self.broker.ready().pair_url.parse().context("the broker's URL")?;
            apps.push(Client::connect(url, self.broker.key("submit")).await?);
        }
        Ok(apps)
    }

    /// Waits until so many printers can be submitted to.
    pub(crate) async fn await_printers(&self, app: &Client, count: usize) -> Result<()> {
        let end = Instant::now() + WITHIN;
        loop {
            let there = app.printers().await?.len();
            if there == count {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{there} of {count} printers came");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all agents are connected.
    pub(crate) async fn await_online(&self, app: &Client) -> Result<()> {
        let end = Instant::now() + WITHIN;
        loop {
            let online =
                app.agents().await?.iter().filter(|agent| agent.status == AgentStatus::Online).count();
            if online == self.agents.len() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{online} of {} agents came", self.agents.len());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the store says of every job that it is completed: the outcome is durable at the broker, too. One that is
    /// held waits for a person, and is not waited for.
    pub(crate) async fn await_completed(&self, app: &Client) -> Result<()> {
        let end = Instant::now() + WITHIN;
        let open = JobList {
            states: vec![
                State::Incoming,
                State::Pending,
                State::Sending,
                State::Spooled,
                State::Printing,
                State::Stopped,
                State::Uncertain,
            ],
            limit: Some(1),
            ..JobList::default()
        };
        while let Some(job) = app.jobs(&open).await?.jobs.into_iter().next() {
            ensure!(job.state != State::Uncertain, "job {} is uncertain", job.number);
            ensure!(Instant::now() < end, "job {} is still {}", job.number, job.state);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
