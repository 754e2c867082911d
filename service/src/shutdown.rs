//! The end of a daemon: one token, one tracker, one deadline.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks were still running at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} tasks did not end within {within:?}")]
pub struct Overdue {
    /// How many.
    pub tasks: usize,
    /// The deadline.
    pub within: Duration,
}

/// Tells every task of a daemon to end, and waits for them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// One that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also begins when `token` is cancelled, by the caller who owns the daemon.
    pub fn within(token: &CancellationToken) -> Self {
        Self { token: token.child_token(), tracker: TaskTracker::new() }
    }

    /// To be awaited by every task, and handed to what it starts.
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Spawn every task that must have ended before the process does through this.
    pub const fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Asks for the end.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether the end was asked for.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Spawns a tracked task whose end, asked for or not, begins the shutdown: for tasks without which
    /// the daemon is worth nothing. A panic in it counts as an end.
    pub fn spawn_vital<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        self.tracker.spawn(async move {
            let ends_daemon = token.clone().drop_guard();
            task.await;
            if !token.is_cancelled() {
                tracing::error!(task = name, "ended unasked, stopping");
            }
            drop(ends_daemon);
        })
    }

    /// Begins the shutdown at SIGTERM or SIGINT (elsewhere: Ctrl-C, Ctrl-Break, close). A second signal ends the wait of
    /// [`Shutdown::finish`] for nobody: supervisors follow up with SIGKILL themselves.
    pub fn on_signals(&self) -> io::Result<()> {
        let signals = system::Signals::new()?;
        let token = self.token.clone();
        tokio::spawn(async move {
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "stopping");
                    token.cancel();
                }
                () = token.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Begins the shutdown if nobody has, and waits until every tracked task has ended, but not longer than `within`.
    pub async fn finish(&self, within: Duration) -> Result<(), Overdue> {
        self.begin();
        self.tracker.close();
        let waited = tokio::time::timeout(within, self.tracker.wait()).await;
        waited.map_err(|_| Overdue { tasks: self.tracker.len(), within })
    }
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            Ok(Self { terminate, interrupt })
        }

        pub(super) async fn next(mut self) -> &'static str {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

    pub(super) struct Signals {
        interrupt: CtrlC,
        stop: CtrlBreak,
        close: CtrlClose,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, stop: ctrl_break()?, close: ctrl_close()? })
        }

        pub(super) async fn next(mut self) -> &'static str {
            tokio::select! {
                _ = self.interrupt.recv() => "ctrl-c",
                _ = self.stop.recv() => "ctrl-break",
                _ = self.close.recv() => "close",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tracked_tasks_are_told_and_waited_for() {
        let shutdown = Shutdown::new();
        let token = shutdown.token().clone();
        let task = shutdown.tracker().spawn(async move { token.cancelled().await });
        shutdown.finish(Duration::from_secs(10)).await.unwrap();
        assert!(task.is_finished() && shutdown.has_begun());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_counted() {
        let shutdown = Shutdown::new();
        shutdown.tracker().spawn(std::future::pending::<()>());
        let within = Duration::from_secs(5);
        assert_eq!(shutdown.finish(within).await, Err(Overdue { tasks: 1, within }));
    }

    #[tokio::test]
    async fn a_vital_task_takes_the_daemon_with_it_even_by_panic() {
        let outer = CancellationToken::new();
        let shutdown = Shutdown::within(&outer);
        shutdown.spawn_vital("printer", async { panic!("on purpose") });
        shutdown.token().cancelled().await;
        assert!(!outer.is_cancelled());
        let by_owner = Shutdown::within(&outer);
        outer.cancel();
        by_owner.token().cancelled().await;
    }
}
