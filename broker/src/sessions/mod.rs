//! Agents' sessions: who is there, from where, and what is on its way to them.
//!
//! ```text
//!  listen ── upgraded dial ──▶ begin: hello, commit of epoch, welcome ──▶ actor (one small task a session)
//!                                 │                                        │ ▲
//!                              registry ◀──── handles ─────────────────────┘ │
//!                                                     SessionEvent ▼         │ SessionCommand
//!                                                              (jobs, by channels)
//! ```
//!
//! One live session per agent: the newest dial wins, and what an older one still says changes nothing (I5).

mod actor;
mod begin;
pub(crate) mod counters;
mod ending;
pub(crate) mod hello;
mod inbound;
mod latch;
pub(crate) mod link;
pub(crate) mod mailbox;
mod outbound;
mod packets;
pub(crate) mod registry;
pub(crate) mod traffic;

use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::AgentId;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::counters::Counters;
use self::link::{SessionCommand, SessionEvent};
use self::registry::{Handle, Registry};
use crate::limits::DRAIN_SPREAD;
use crate::store::SharedStore;

pub(crate) use begin::{Dialled, begin};

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) store: SharedStore,
    pub(crate) registry: Registry,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: mpsc::Sender<SessionEvent>,
    pub(crate) report_interval: Duration,
    pub(crate) tracker: TaskTracker,
    /// Cancelled when no new session is to begin.
    pub(crate) closing: CancellationToken,
}

impl Sessions {
    /// Ends an agent's live session, if there is one.
    pub(crate) fn end(&self, agent: AgentId, code: CloseCode) {
        if let Some(Handle { live, .. }) = self.registry.of(agent) {
            live.end_with(code);
        }
    }

    /// Tells every agent to come back a little later, each at another instant. A session that cannot take even this is
    /// closed without it.
    pub(crate) fn announce_drain(&self) {
        let spread = u64::try_from(DRAIN_SPREAD.as_millis()).unwrap_or(u64::MAX);
        for (agent, handle) in self.registry.all() {
            let retry_after_ms = rand::rng().random_range(0..spread);
            if handle.commands.send(SessionCommand::Drain { retry_after_ms }).is_err() {
                tracing::debug!(%agent, "no room to announce the drain");
            }
        }
    }

    /// Sends every session but this agent's back, each after another time: their ledgers are compared with the store before
    /// anything is sent to them.
    pub(crate) fn send_back(&self, but: AgentId) {
        self.announce_drain();
        for (_, handle) in self.registry.all().into_iter().filter(|(agent, _)| *agent != but) {
            let detail = "the broker's store was restored: come back and repeat your ledger";
            let close = SessionCommand::Close { code: CloseCode::Draining, detail };
            if handle.commands.send(close).is_err() {
                handle.live.end_with(CloseCode::Draining);
            }
        }
    }

    /// Closes every session.
    pub(crate) fn end_all(&self, code: CloseCode) {
        for (_, handle) in self.registry.all() {
            handle.live.end_with(code);
        }
    }
}

/// The sessions as everybody holds them.
pub(crate) type SharedSessions = Arc<Sessions>;

/// What must live as long as a session's connection: its places at the port.
pub(crate) type Guard = Arc<dyn std::any::Any + Send + Sync>;
