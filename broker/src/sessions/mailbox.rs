//! Commands on their way to a session: in order, bounded, and nothing but a pointer while there are none. (A channel of the
//! runtime's costs every idle session 1.8 KiB.)

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inkwire_protocol::close::CloseCode;
use tokio::sync::Notify;

use super::link::SessionCommand;
use crate::limits::SESSION_COMMANDS;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    commands: VecDeque<SessionCommand>,
    senders: usize,
    receiver_gone: bool,
}

/// Where commands go in; cheap to clone.
#[derive(Debug)]
pub(crate) struct Mailbox(Arc<Shared>);

/// Where the session takes them out.
#[derive(Debug)]
pub(crate) struct Commands(Arc<Shared>);

/// The session does not take its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{SESSION_COMMANDS} commands wait for the session already")]
pub(crate) struct Full;

/// Both ends of an empty mailbox.
pub(crate) fn mailbox() -> (Mailbox, Commands) {
    let shared = Arc::new(Shared::default());
    shared.lock().senders = 1;
    (Mailbox(Arc::clone(&shared)), Commands(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// Puts a command behind the others. For a session that is gone it is dropped: its end is told by an event.
    pub(crate) fn send(&self, command: SessionCommand) -> Result<(), Full> {
        let mut queue = self.0.lock();
        if queue.receiver_gone {
            return Ok(());
        }
        if queue.commands.len() >= SESSION_COMMANDS {
            return Err(Full);
        }
        queue.commands.push_back(command);
        drop(queue);
        self.0.news.notify_one();
        Ok(())
    }

    /// Ends the session: what waits is not sent any more.
    pub(crate) fn close(&self, code: CloseCode, detail: &'static str) {
        let mut queue = self.0.lock();
        queue.commands.clear();
        queue.commands.push_back(SessionCommand::Close { code, detail });
        drop(queue);
        self.0.news.notify_one();
    }
}

impl Clone for Mailbox {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.news.notify_one();
    }
}

impl Commands {
    /// The next command; none where nobody can send one any more. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<SessionCommand> {
        loop {
            {
                let mut queue = self.0.lock();
                if let Some(command) = queue.commands.pop_front() {
                    if queue.commands.is_empty() {
                        queue.commands = VecDeque::new();
                    }
                    return Some(command);
                }
                if queue.senders == 0 {
                    return None;
                }
            }
            // There is one receiver: what was notified since the look above is kept for it.
            self.0.news.notified().await;
        }
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().commands.is_empty()
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.receiver_gone = true;
        queue.commands = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(n: u64) -> SessionCommand {
        SessionCommand::Drain { retry_after_ms: n }
    }

    #[tokio::test]
    async fn commands_come_in_order_and_are_bounded() {
        let (mailbox, mut commands) = mailbox();
        for n in 0..SESSION_COMMANDS as u64 {
            mailbox.clone().send(drain(n)).unwrap();
        }
        assert_eq!(mailbox.send(drain(0)), Err(Full));
        for n in 0..SESSION_COMMANDS as u64 {
            let command = commands.recv().await;
            assert!(matches!(command, Some(SessionCommand::Drain { retry_after_ms }) if retry_after_ms == n));
        }
        let waiting =
            tokio::spawn(async move { (commands.recv().await.is_some(), commands.recv().await.is_some()) });
        tokio::task::yield_now().await;
        mailbox.send(drain(7)).unwrap();
        drop(mailbox);
        assert_eq!(waiting.await.unwrap(), (true, false));
    }

    #[tokio::test]
    async fn a_session_that_is_gone_takes_nothing_and_refuses_nothing() {
        let (mailbox, commands) = mailbox();
        drop(commands);
        for n in 0..=SESSION_COMMANDS as u64 {
            mailbox.send(drain(n)).unwrap();
        }
    }
}
