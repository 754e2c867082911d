//! Through JetStream: published with its acknowledgement awaited, taken by a pull consumer, acknowledged. There is no
//! device behind the consumer and no spool: that much less is asked of it than of us.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;

use crate::device::{Expected, label};
use crate::everybody::Crew;
use crate::load::Way;
use crate::peers::nats::Nats;
use crate::peers::tls::Certificates;

const STREAM: &str = "labels";
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Apps and agents as JetStream clients.
#[derive(Debug)]
pub(crate) struct Jetstream {
    pub(crate) nats: Nats,
    apps: Vec<Context>,
    agents: usize,
    printers: usize,
    _consumers: JoinSet<Result<()>>,
}

impl Jetstream {
    /// A work queue on file; each agent is a durable pull consumer of its own printers' subjects.
    pub(crate) async fn connect(
        nats: Nats,
        tls: &Certificates,
        Crew { apps, agents, printers }: Crew,
        expected: &Expected,
    ) -> Result<Self> {
        let mut clients = Vec::with_capacity(apps);
        for _ in 0..apps {
            clients.push(jetstream::new(nats.connect(tls).await?));
        }
        let first = clients.first().context("at least one app")?;
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec!["print.*.*".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            ..Config::default()
        };
        first.create_stream(config).await.context("JetStream makes no stream")?;
        let mut consumers = JoinSet::new();
        for agent in 0..agents {
            let context = jetstream::new(nats.connect(tls).await?);
            let name = format!("agent{agent}");
            let config = pull::Config {
                durable_name: Some(name.clone()),
                ack_policy: AckPolicy::Explicit,
                filter_subject: format!("print.{name}.*"),
                ..pull::Config::default()
            };
            let consumer = context.create_consumer_on_stream(config, STREAM).await.context("no consumer")?;
            let messages = consumer.messages().await.context("no messages")?;
            consumers.spawn(consume(messages, expected.clone()));
        }
        Ok(Self { nats, apps: clients, agents, printers, _consumers: consumers })
    }
}

async fn consume(mut messages: pull::Stream, expected: Expected) -> Result<()> {
    while let Some(message) = messages.next().await {
        let message = message.context("the consumer")?;
        let came = Instant::now();
        message.ack().await.map_err(|error| anyhow::anyhow!("the acknowledgement: {error}"))?;
        expected.arrived(&message.payload, came, Instant::now());
    }
    Ok(())
}

impl Way for Jetstream {
    async fn submit(&self, slot: usize, number: u64) -> Result<()> {
        let printer = number as usize % self.printers;
        let subject = format!("print.agent{}.printer{printer}", printer % self.agents);
        let app = &self.apps[slot % self.apps.len()];
        let stored = app.publish(subject, label(number).into()).await.context("publishing")?;
        stored.await.context("the stream's acknowledgement")?;
        Ok(())
    }

    /// Until the queue is empty: every acknowledgement has arrived.
    async fn settle(&self) -> Result<()> {
        let mut stream = self.apps[0].get_stream(STREAM).await.context("the stream")?;
        while stream.info().await.context("the stream")?.state.messages > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
