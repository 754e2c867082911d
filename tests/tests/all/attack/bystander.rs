//! An agent and an app that do nothing but work: one label after the other. Whatever others do, they must not notice.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use inkwire_client::protocol::app::{Agent as AgentView, AgentStatus, ProblemKind};
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, new_job};
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::{documents, sink};
use tokio::task::JoinHandle;

use super::RAW;
use crate::support::{eventually, printers_online};

pub(super) struct Bystander {
    _agent: Agent,
    client: Client,
    sink: sink::Socket,
    seen: AgentView,
    printed: Arc<AtomicU64>,
    labels: JoinHandle<()>,
}

impl Bystander {
    pub(super) async fn start(dir: &Path, broker: &Broker, client: &Client) -> Self {
        let sink = sink::Socket::listen(None);
        let mut agent = Agent::pair(dir, broker, &[Printer::new("bystander", sink.uri())]);
        agent.start();
        printers_online(client, 1).await;
        let seen = client.agents().await.unwrap().remove(0);
        let printed = Arc::new(AtomicU64::new(0));
        let labels = tokio::spawn(print(client.clone(), Arc::clone(&printed)));
        let bystander = Self { _agent: agent, client: client.clone(), sink, seen, printed, labels };
        bystander.goes_on().await;
        bystander
    }

    /// More labels come out now.
    pub(super) async fn goes_on(&self) {
        let wanted = self.printed.load(Ordering::Relaxed) + 2;
        eventually("the bystander prints", Duration::from_secs(20), async || {
            assert!(!self.labels.is_finished(), "the bystander's app failed");
            (self.printed.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// It never noticed anything: the same session, every label once, at the first attempt.
    pub(super) async fn is_unharmed(&self) {
        self.goes_on().await;
        let now = self.client.agent(self.seen.id).await.unwrap();
        assert_eq!((now.status, now.epoch), (AgentStatus::Online, self.seen.epoch), "it kept its session");
        for number in 0..self.printed.load(Ordering::Relaxed) {
            let times = self.sink.count(Sha256Digest::of(&documents::zpl(number)));
            assert_eq!(times, 1, "label {number} of the bystander");
        }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.labels.abort();
    }
}

async fn print(client: Client, printed: Arc<AtomicU64>) {
    loop {
        let label = documents::zpl(printed.load(Ordering::Relaxed));
        let accepted = match client.submit(new_job("bystander", RAW), label).await {
            Ok(accepted) => accepted,
            // Below its free space the broker takes no document, whoever sends it.
            Err(error) if error.kind() == Some(ProblemKind::StorageFull) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => panic!("a label is not accepted: {error}"),
        };
        loop {
            let job = client.job(accepted.id).await.expect("a label is known").job;
            assert_eq!(job.state.is_terminal(), job.state == State::Completed, "a label is printed: {job:?}");
            assert!(job.attempt.0 <= 1, "a label takes one attempt: {job:?}");
            if job.state == State::Completed {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        printed.fetch_add(1, Ordering::Relaxed);
    }
}
