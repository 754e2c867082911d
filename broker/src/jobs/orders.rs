//! What is sent to sessions: in order, never waiting, and bounded.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::AgentId;

use super::dispatcher::Dispatcher;
use crate::sessions::link::SessionCommand;

impl Dispatcher {
    /// Sends a command to the agent's session, if it has one. A session that does not take its commands is ended.
    pub(super) fn tell(&mut self, agent: AgentId, command: SessionCommand) {
        let Some(live) = self.agents.get_mut(&agent) else { return };
        if let Err(error) = live.commands.send(command)
            && !std::mem::replace(&mut live.slow, true)
        {
            tracing::warn!(%agent, %error, "the session is closed");
            live.commands.close(CloseCode::Slow, "the agent does not read what is sent to it");
        }
    }
}
