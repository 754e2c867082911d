//! Rows as the account sees them, with what memory knows of live sessions.

use std::sync::atomic::Ordering;

use inkwire_protocol::app::{Agent, AgentStatus, Printer};
use inkwire_protocol::ids::Sha256Digest;

use crate::sessions::registry::{Handle, Registry};
use crate::store::{AgentRow, PrinterRow};

/// An agent, without its history of endpoints.
pub(crate) fn agent(row: AgentRow, registry: &Registry) -> Agent {
    let live = registry.of(row.id);
    let status = status(&row, live.as_ref());
    let seen = live.as_ref().map(|handle| handle.live.last_seen_ms.load(Ordering::Relaxed));
    let rtt = live.as_ref().map(|handle| handle.live.rtt_ms.load(Ordering::Relaxed));
    Agent {
        id: row.id,
        name: row.name,
        status,
        hostname: row.hostname,
        os: row.os,
        version: row.version,
        fingerprint: Sha256Digest::of(&row.public_key),
        epoch: row.epoch,
        observed_endpoint: live.as_ref().map(|handle| handle.observed).or(row.observed_endpoint),
        local_endpoint: row.local_endpoint,
        connected_ms: live.as_ref().map(|handle| handle.connected_ms),
        last_seen_ms: seen.max(row.last_seen_ms),
        rtt_ms: rtt.filter(|&rtt| rtt > 0),
        created_ms: row.created_ms,
        endpoints: Vec::new(),
    }
}

/// Whether an agent's session is live, and if not, why.
pub(super) fn status(row: &AgentRow, live: Option<&Handle>) -> AgentStatus {
    match live {
        _ if row.revoked_ms.is_some() => AgentStatus::Revoked,
        _ if row.clone => AgentStatus::Clone,
        Some(handle) if handle.live.silent.load(Ordering::Relaxed) => AgentStatus::Silent,
        Some(_) => AgentStatus::Online,
        None => AgentStatus::Offline,
    }
}

/// A printer.
pub(super) fn printer(row: PrinterRow, agent_status: AgentStatus) -> Printer {
    Printer {
        id: row.id,
        agent: row.agent,
        agent_name: row.agent_name,
        agent_status,
        info: row.info,
        name: row.name,
        queued_jobs: row.queued_jobs,
        present: row.present,
        settings: row.settings,
    }
}
