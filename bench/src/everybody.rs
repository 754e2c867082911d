//! Everybody who prints labels: our broker and agents, JetStream, CUPS, with the same apps and printers.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use crate::device::{Expected, LABEL_BYTES, printers};
use crate::ours::Ours;
use crate::peers::cups::Cups;
use crate::peers::nats::Nats;
use crate::peers::tls::Certificates;
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};
use crate::ways::cups::Queues;
use crate::ways::inkwire::Inkwire;
use crate::ways::nats::Jetstream;

pub(crate) const NATS: &str = "nats-jetstream";
pub(crate) const CUPS: &str = "cups";

/// How many of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    pub(crate) apps: usize,
    pub(crate) agents: usize,
    pub(crate) printers: usize,
}

/// Everybody, started and connected.
#[derive(Debug)]
pub(crate) struct Everybody {
    pub(crate) expected: Expected,
    pub(crate) ours: Arc<Inkwire>,
    pub(crate) nats: Arc<Jetstream>,
    pub(crate) cups: Arc<Queues>,
    pub(crate) pids: Pids,
    crew: Crew,
}

/// Whose processor time and fsyncs count.
#[derive(Debug)]
pub(crate) struct Pids {
    pub(crate) broker: Vec<u32>,
    pub(crate) agents: Vec<u32>,
    pub(crate) nats: Vec<u32>,
    pub(crate) cups: Vec<u32>,
}

impl Everybody {
    /// Starts all of them in a folder of this name.
    pub(crate) async fn start(programs: &Programs, folder: &str, crew: Crew) -> Result<Self> {
        let expected = Expected::default();
        let devices = printers(crew.printers, &expected).await?;
        let dir = programs.dir.path().join(folder);
        std::fs::create_dir_all(&dir).context("the folder")?;
        let mut ours = block_in_place(|| Ours::start(&dir.join("inkwire"), crew.agents, &devices));
        let (broker, agents) = (vec![ours.broker_id()], ours.agent_ids());
        let apps = ours.apps(crew.apps).await?;
        ours.await_printers(&apps[0], crew.printers).await?;
        let ours = Inkwire { ours, apps, printers: crew.printers };
        let tls = Certificates::make(&dir)?;
        let nats = block_in_place(|| Nats::jetstream(programs, &dir.join("nats"), &tls, "always"))?;
        let nats = Jetstream::connect(nats, &tls, crew, &expected).await?;
        let cups = block_in_place(|| Cups::start(&dir.join("cups"), &devices))?;
        let pids = Pids { broker, agents, nats: vec![nats.nats.server.id()], cups: vec![cups.server.id()] };
        let (ours, nats, cups) = (Arc::new(ours), Arc::new(nats), Arc::new(Queues::new(cups, crew.printers)));
        Ok(Self { expected, ours, nats, cups, pids, crew })
    }

    /// Says under which settings they work.
    pub(crate) fn describe(&self, sheet: &mut Sheet) {
        let Crew { apps, agents, printers } = self.crew;
        sheet.setting("document", format!("{LABEL_BYTES} bytes"));
        sheet.setting("crew", format!("{apps} apps, {agents} agents, {printers} printers"));
        sheet.setting(
            OURS,
            "broker and agents with a user's defaults: TLS WebSockets, API keys, SQLite WAL with synchronous=FULL at both \
             ends; a job is over when it is at the device and its outcome is in the broker's store",
        );
        sheet.setting(
            NATS,
            format!(
                "{}, TLS, work queue on file, sync_interval always, a durable pull consumer an agent; over when \
                 published, consumed and acknowledged; no spool, no device",
                self.nats.nats.version
            ),
        );
        sheet.setting(
            CUPS,
            "raw queues to the same devices, SyncOnClose Yes, plain HTTP; over when it is at the device",
        );
    }
}
