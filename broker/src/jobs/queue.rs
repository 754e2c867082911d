//! Printers' queues: who goes next.

use std::sync::Arc;

use inkwire_protocol::ids::{AgentId, Epoch, PrinterId};
use inkwire_protocol::job::State;

use super::dispatcher::Dispatcher;
use super::input::{Done, Input, Wish};
use super::line::{HEADS, Line};
use crate::clock::now_ms;

impl Dispatcher {
    pub(super) fn line(&mut self, agent: AgentId, printer: PrinterId) -> Option<&mut Line> {
        self.agents.get_mut(&agent)?.lines.get_mut(&printer)
    }

    pub(super) fn dispatch_all(&mut self, agent: AgentId) {
        let lines = self.agents.get(&agent).map(|live| live.lines.keys().copied().collect::<Vec<_>>());
        for printer in lines.unwrap_or_default() {
            self.dispatch(agent, printer);
        }
    }

    /// Begins whatever may be sent to a printer now.
    pub(super) fn dispatch(&mut self, agent: AgentId, printer: PrinterId) {
        loop {
            let Some(live) = self.agents.get_mut(&agent) else { return };
            if live.loading || live.reconciling || live.spool_lost || live.is_of_old_store(&self.store) {
                return;
            }
            if self.returning.contains(&printer) {
                return;
            }
            let epoch = live.epoch;
            let Some(line) = live.lines.get_mut(&printer) else { return };
            if !line.present {
                return;
            }
            if line.not_before_ms > now_ms() {
                return self.set_full(agent, printer, true);
            }
            let Some(job) = line.head() else {
                if line.wants_refill() {
                    line.loading = true;
                    self.refill(agent, epoch, printer);
                }
                return self.set_full(agent, printer, false);
            };
            let row = self.jobs.get(&job).and_then(|entry| entry.row.as_ref());
            let Some(row) = row.filter(|row| row.job.state == State::Pending) else {
                line.pop();
                continue;
            };
            if !line.admits(row.job.bytes) {
                return self.set_full(agent, printer, true);
            }
            line.reserve(job, row.job.bytes);
            line.pop();
            let row = row.clone();
            self.input_to(row, Input { wish: Wish::Send, reply: None });
        }
    }

    /// Whether jobs of this printer wait for others; shown as their reason.
    fn set_full(&mut self, agent: AgentId, printer: PrinterId, full: bool) {
        let Some(line) = self.line(agent, printer) else { return };
        if std::mem::replace(&mut line.full, full) != full {
            self.views.with_agent(agent, |view| match full {
                true => drop(view.full.insert(printer)),
                false => drop(view.full.remove(&printer)),
            });
        }
    }

    fn refill(&self, agent: AgentId, epoch: Epoch, printer: PrinterId) {
        let store = Arc::clone(&self.store);
        self.spawn(async move {
            let found = store.pending_heads(printer, HEADS as u32).await;
            Done::Heads { printer, agent, epoch, found }
        });
    }
}
