//! This PC moves to another address, or seems to.

use std::time::Instant;

use inkwire_protocol::session::dial::Lost;

use super::{Round, Session};
use crate::link::looks::{Found, Then};
use crate::link::network::{is_own, source_address};

impl Session {
    /// Looks at the route to the broker if a look is due. Only one that begins elsewhere now is a reason to dial anew.
    pub(super) fn look_at_route(&mut self, now: Instant) -> Round {
        if self.looks.due().is_none_or(|due| due > now) {
            return Round::Go;
        }
        let own = self.dialled.local.ip();
        let found = match source_address(self.dialled.remote) {
            Ok(address) => Found::From(address),
            Err(_) => Found::NoRoute { gone: !is_own(own) },
        };
        match self.looks.on_look(now, found) {
            Then::Redial(to) => {
                tracing::info!(from = %own, %to, "this PC's address changed");
                Round::End(Lost::PathDead)
            }
            Then::Probe => {
                self.liveness.probe_now();
                Round::Go
            }
            Then::Wait => Round::Go,
        }
    }
}
