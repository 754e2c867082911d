//! Where broker, agent, app and printers stand: on this machine's loopback, or in namespaces at both ends of a slow line.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::net::hop::{Hop, Weather};
use inkwire_tests::net::netns::{Netns, stem};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::block_in_place;

use crate::ours::Ours;

const BROKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const PC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 21);

/// Both ends.
#[derive(Debug)]
pub(crate) struct Place {
    line: Option<SlowLine>,
}

/// Namespaces at both ends, with a runtime in each. The order is that in which they end.
#[derive(Debug)]
struct SlowLine {
    app: End,
    devices: End,
    _hop: Hop,
    core: Arc<Netns>,
    pc: Arc<Netns>,
}

impl Place {
    pub(crate) const fn loopback() -> Self {
        Self { line: None }
    }

    /// Needs root.
    pub(crate) fn behind(weather: Weather) -> Result<Self> {
        let stem = stem();
        let core = Arc::new(Netns::create(&stem, "core")?);
        let pc = Arc::new(Netns::create(&stem, "pc")?);
        let hop = Hop::start(&core, &pc, weather)?;
        core.ip(&format!("addr add {BROKER}/24 dev wan"))?;
        pc.ip(&format!("addr add {PC}/24 dev wan"))?;
        let (app, devices) = (End::within(&core)?, End::within(&pc)?);
        Ok(Self { line: Some(SlowLine { app, devices, _hop: hop, core, pc }) })
    }

    /// Broker and one agent with these printers.
    pub(crate) fn start(&self, dir: &Path, printers: &[SocketAddr]) -> Result<Ours> {
        let Some(line) = &self.line else { return Ok(Ours::start(dir, 1, printers)) };
        let listen = format!("{BROKER}:7443");
        let url = format!("https://{listen}");
        let start = || Broker::start_at(&dir.join("broker"), &listen, &["--public-url", &url], &[]);
        let broker = line.core.inside(start)?;
        let named = |(number, address): (usize, &SocketAddr)| {
            Printer::new(&format!("printer{number}"), format!("socket://{address}"))
        };
        let printers: Vec<_> = printers.iter().enumerate().map(named).collect();
        let agent = line.pc.inside(|| {
            let mut agent = Agent::pair(&dir.join("agent0"), &broker, &printers);
            agent.start();
            agent
        })?;
        Ok(Ours { broker, agents: vec![agent] })
    }

    /// Runs where apps are: beside the broker.
    pub(crate) async fn app<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        run(self.line.as_ref().map(|line| &line.app), work).await
    }

    /// Runs where printers are: beside the agent.
    pub(crate) async fn devices<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        run(self.line.as_ref().map(|line| &line.devices), work).await
    }
}

async fn run<T: Send + 'static>(
    end: Option<&End>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let handle = end.and_then(|end| end.0.as_ref()).map_or_else(Handle::current, |it| it.handle().clone());
    handle.spawn(work).await.context("it panicked")?
}

/// A runtime whose threads are inside a namespace.
#[derive(Debug)]
struct End(Option<Runtime>);

impl End {
    fn within(netns: &Arc<Netns>) -> Result<Self> {
        let netns = Arc::clone(netns);
        let enter = move || {
            if let Err(error) = netns.enter() {
                eprintln!("a thread is outside of its namespace: {error:#}");
            }
        };
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().on_thread_start(enter).build();
        Ok(Self(Some(runtime.context("a runtime")?)))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            block_in_place(|| runtime.shutdown_background());
        }
    }
}
