//! A PC: its disk, its agent's process, its printers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inkwire_protocol::ids::AgentId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::agent::agent::{Agent, Extras};
use crate::agent::config::Config;
use crate::agent::printers::Backend;
use crate::device::{Device, Printer};
use crate::disk::Disk;
use crate::log;
use crate::rt::{Process, scoped};
use crate::story::AgentPlan;
use crate::wire::{Line, net};

thread_local! {
    static AGENTS: RefCell<BTreeMap<String, String>> = RefCell::default();
}

/// The agent of a process, by its state directory's name.
pub(crate) fn agent_of(process: &str) -> String {
    AGENTS.with_borrow(|agents| agents.get(process).cloned()).unwrap_or_default()
}

pub(super) struct Pc {
    pub(super) name: String,
    pub(super) agent: AgentId,
    pub(super) disk: Arc<Disk>,
    pub(super) process: Option<Arc<Process>>,
    /// Set when the agent has ended unasked.
    pub(super) ended: Arc<AtomicBool>,
    pub(super) devices: Vec<Arc<Device>>,
    pub(super) line: Arc<Line>,
    pub(super) skew_ms: i64,
    /// A copy of its disk.
    pub(super) copy: Option<Arc<Disk>>,
    /// Other PCs with its identity; only the last one may run.
    pub(super) twins: Vec<Pc>,
}

pub(super) fn agent_id(number: usize) -> AgentId {
    AgentId::from_uuid(Uuid::from_u128(100 + number as u128))
}

impl Pc {
    pub(super) fn new(number: usize, name: String, plan: &AgentPlan, disk: Arc<Disk>) -> Self {
        let agent = agent_id(number);
        AGENTS.with_borrow_mut(|agents| agents.insert(name.clone(), agent.to_string()));
        disk.sync_us.store(plan.sync_us, Ordering::Relaxed);
        let device = |(index, (nature, bytes_s)): (usize, &(_, u64))| {
            Device::new(format!("{name}-printer-{index}"), *nature, *bytes_s)
        };
        let line = net(|net| net.line(&name));
        Self {
            devices: plan.printers.iter().enumerate().map(device).collect(),
            name,
            agent,
            disk,
            process: None,
            ended: Arc::default(),
            line,
            skew_ms: plan.skew_ms,
            copy: None,
            twins: Vec::new(),
        }
    }

    /// Starts its agent.
    pub(super) fn start(&mut self) {
        let process = Process::new(self.name.clone(), Arc::clone(&self.disk));
        process.skew_ms.store(self.skew_ms, Ordering::Relaxed);
        let config = Config {
            state_dir: PathBuf::from(format!("/pcs/{}", self.agent)),
            discover_cups: false,
            min_free_bytes: 1 << 20,
            poll_printers: Duration::from_secs(15),
            printers: Vec::new(),
        };
        // A twin has the same names for other printers.
        let named = |(index, device): (usize, &Arc<Device>)| {
            (format!("printer-{index}"), Arc::new(Printer(Arc::clone(device))) as Arc<dyn Backend>)
        };
        let extras =
            Extras { printers: self.devices.iter().enumerate().map(named).collect(), clock_skew_ms: 0 };
        self.ended = Arc::default();
        let (ended, name) = (Arc::clone(&self.ended), self.name.clone());
        let work = async move {
            let why = match Agent::start_with(config, extras, CancellationToken::new()).await {
                Ok(agent) => agent.stopped().await.err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            log::line(|| format!("{name}: the agent has ended: {why:?}"));
            ended.store(true, Ordering::Release);
        };
        drop(tokio::spawn(scoped(Some(Arc::clone(&process)), work)));
        self.process = Some(process);
    }

    pub(super) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.is_dead()) && !self.ended.load(Ordering::Acquire)
    }
}
