//! Live sessions: by agent, and by the digest of the session token. What must outlive the process is in the store.
//!
//! The newest session of an agent wins. Entries are handles: copy one out, then await.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AgentId, Epoch, Sha256Digest};

use super::latch::Latch;
use super::mailbox::Mailbox;

/// A live session, seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    /// Its epoch.
    pub(crate) epoch: Epoch,
    /// Digest of its token.
    pub(crate) token: Sha256Digest,
    /// Where the broker sees the agent.
    pub(crate) observed: SocketAddr,
    /// When it began.
    pub(crate) connected_ms: u64,
    /// What changes while it lives.
    pub(crate) live: Arc<Live>,
    /// Where to send commands.
    pub(crate) commands: Mailbox,
}

/// What changes while a session lives, written by its task alone.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// When the last message came, in broker time.
    pub(crate) last_seen_ms: AtomicU64,
    /// Smoothed round trip as the agent reports it; 0 is "not known".
    pub(crate) rtt_ms: AtomicU32,
    /// It owes an answer and says nothing.
    pub(crate) silent: AtomicBool,
    /// Closed by whoever ends the session from outside.
    pub(crate) end: Latch,
    /// Why, set before `end` is closed; 0 stands for "normal".
    code: AtomicU32,
    /// Closed by the session's task when it has stopped to change anything.
    pub(crate) stopped: Latch,
}

impl Live {
    /// A message has come.
    pub(crate) fn seen(&self, now_ms: u64) {
        self.last_seen_ms.store(now_ms, Ordering::Relaxed);
    }

    /// It owes an answer and says nothing, or is heard again.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Ends the session with this code; the first one that is given holds.
    pub(crate) fn end_with(&self, code: CloseCode) {
        let code = u32::from(code.code());
        // Only the first reason is told to the agent; a second one changes nothing.
        if self.code.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.end.close();
        }
    }

    /// Why it was ended.
    pub(crate) fn end_code(&self) -> CloseCode {
        match u16::try_from(self.code.load(Ordering::Acquire)) {
            Ok(0) | Err(_) => CloseCode::Normal,
            Ok(code) => CloseCode::from(code),
        }
    }
}

/// All live sessions.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_agent: DashMap<AgentId, Handle>,
    by_token: DashMap<Sha256Digest, AgentId>,
}

/// What became of a newcomer.
#[derive(Debug)]
#[must_use]
pub(crate) enum Entered {
    /// It is the agent's session now; the one that it replaced, if any, must end.
    Live {
        /// The loser.
        replaced: Option<Handle>,
    },
    /// A newer session was faster.
    Late,
}

impl Registry {
    /// Makes a session the agent's live one, unless a newer one already is.
    pub(crate) fn enter(&self, agent: AgentId, handle: Handle) -> Entered {
        let token = handle.token;
        let replaced = match self.by_agent.entry(agent) {
            Entry::Occupied(mut entry) => {
                if entry.get().epoch >= handle.epoch {
                    return Entered::Late;
                }
                Some(entry.insert(handle))
            }
            Entry::Vacant(entry) => {
                entry.insert(handle);
                None
            }
        };
        if let Some(old) = &replaced {
            self.by_token.remove(&old.token);
        }
        self.by_token.insert(token, agent);
        Entered::Live { replaced }
    }

    /// Forgets a session, unless a newer one has taken its place.
    pub(crate) fn leave(&self, agent: AgentId, epoch: Epoch) {
        if let Some((_, old)) = self.by_agent.remove_if(&agent, |_, handle| handle.epoch == epoch) {
            self.by_token.remove_if(&old.token, |_, of| *of == agent);
        }
    }

    /// The agent's live session.
    pub(crate) fn of(&self, agent: AgentId) -> Option<Handle> {
        self.by_agent.get(&agent).map(|entry| entry.value().clone())
    }

    /// Whose live session has this token.
    pub(crate) fn agent_of(&self, token: &Sha256Digest) -> Option<AgentId> {
        self.by_token.get(token).map(|entry| *entry.value())
    }

    /// Every live session.
    pub(crate) fn all(&self) -> Vec<(AgentId, Handle)> {
        self.by_agent.iter().map(|entry| (*entry.key(), entry.value().clone())).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_agent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(n: u128) -> AgentId {
        AgentId::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn handle(epoch: u64, token: &[u8]) -> Handle {
        Handle {
            epoch: Epoch(epoch),
            token: Sha256Digest::of(token),
            observed: "192.0.2.1:1".parse().unwrap(),
            connected_ms: 1,
            live: Arc::default(),
            commands: crate::sessions::mailbox::mailbox().0,
        }
    }

    #[test]
    fn the_newest_session_wins_whatever_comes_first() {
        let registry = Registry::default();
        assert!(matches!(registry.enter(agent(1), handle(2, b"a")), Entered::Live { replaced: None }));
        assert!(matches!(registry.enter(agent(1), handle(1, b"b")), Entered::Late));
        assert!(matches!(registry.enter(agent(1), handle(2, b"b")), Entered::Late));
        let Entered::Live { replaced: Some(old) } = registry.enter(agent(1), handle(3, b"a")) else {
            panic!("the newer one is late")
        };
        assert_eq!(old.epoch, Epoch(2));
        assert_eq!(registry.agent_of(&Sha256Digest::of(b"a")), Some(agent(1)));
        // The loser's leaving does not take the winner away.
        registry.leave(agent(1), Epoch(2));
        assert_eq!(registry.of(agent(1)).unwrap().epoch, Epoch(3));
        registry.leave(agent(1), Epoch(3));
        assert_eq!((registry.len(), registry.agent_of(&Sha256Digest::of(b"a"))), (0, None));
    }

    #[test]
    fn the_first_reason_to_end_holds() {
        let live = Live::default();
        assert_eq!(live.end_code(), CloseCode::Normal);
        live.end_with(CloseCode::Superseded);
        live.end_with(CloseCode::Revoked);
        assert!(live.end.is_closed());
        assert_eq!(live.end_code(), CloseCode::Superseded);
    }
}
