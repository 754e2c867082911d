//! A running program and everything that it started: ended together.

use std::io;
use std::path::Path;
use std::process::ExitStatus;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::limits::{STDERR_BYTES, STDERR_WITHIN, TERMINATE_WITHIN};

/// A program in a process group of its own. Dropped, the whole group is killed unless the program ended well.
pub(super) struct Group {
    child: Child,
    /// The group's number; none once it has been let go.
    leader: Option<system::Leader>,
    errors: Option<JoinHandle<String>>,
}

impl Group {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        system::own_group(&mut command);
        let mut child = command.kill_on_drop(true).spawn()?;
        let leader = system::leader(&child);
        let errors = child.stderr.take().map(|stderr| tokio::spawn(tail(stderr)));
        Ok(Self { child, leader, errors })
    }

    pub(super) fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for the program itself. May be dropped and called again.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        if status.success() {
            // What it left running on purpose is its own business.
            self.leader = None;
        }
        Ok(status)
    }

    /// Asks the group to end, and after a while makes it. None where even that did not end it.
    pub(super) async fn end(&mut self) -> Option<ExitStatus> {
        if let Some(leader) = &self.leader {
            system::terminate(leader);
        }
        let asked = timeout(TERMINATE_WITHIN, self.child.wait()).await;
        self.kill();
        let ended = match asked {
            Ok(ended) => ended,
            Err(_) => timeout(TERMINATE_WITHIN, self.child.wait()).await.ok()?,
        };
        ended.ok()
    }

    /// The last lines of its standard error.
    pub(super) async fn last_words(&mut self) -> String {
        let Some(mut errors) = self.errors.take() else { return String::new() };
        match timeout(STDERR_WITHIN, &mut errors).await {
            Ok(said) => said.unwrap_or_default(),
            Err(_) => {
                // Something that it left running holds the pipe.
                errors.abort();
                String::new()
            }
        }
    }

    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            system::kill(&leader);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(errors) = self.errors.take() {
            errors.abort();
        }
    }
}

/// Reads to the end and keeps the end.
async fn tail(mut from: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut kept = Vec::with_capacity(STDERR_BYTES * 2);
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if kept.len() > STDERR_BYTES {
            kept.drain(..kept.len() - STDERR_BYTES);
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let last: Vec<&str> = text.trim().lines().rev().take(5).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Why a file cannot be run, as far as can be seen without running it.
pub(super) async fn not_runnable(program: &Path) -> Option<String> {
    match tokio::fs::metadata(program).await {
        Ok(found) if found.is_file() && system::executable(&found) => None,
        Ok(_) => Some(format!("{} is not an executable file", program.display())),
        Err(error) => Some(format!("{}: {error}", program.display())),
    }
}

#[cfg(unix)]
mod system {
    use std::os::unix::fs::PermissionsExt;

    use rustix::process::{Pid, Signal, kill_process_group};

    pub(super) type Leader = Pid;

    pub(super) fn own_group(command: &mut super::Command) {
        command.process_group(0);
    }

    pub(super) fn leader(child: &super::Child) -> Option<Leader> {
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    pub(super) fn terminate(leader: &Leader) {
        signal(*leader, Signal::TERM);
    }

    pub(super) fn kill(leader: &Leader) {
        signal(*leader, Signal::KILL);
    }

    fn signal(leader: Leader, signal: Signal) {
        match kill_process_group(leader, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(%error, group = leader.as_raw_nonzero(), "cannot signal a program"),
        }
    }

    pub(super) fn executable(found: &std::fs::Metadata) -> bool {
        found.permissions().mode() & 0o111 != 0
    }
}

/// Elsewhere only the program itself is ended (by `kill_on_drop`).
#[cfg(not(unix))]
mod system {
    pub(super) type Leader = ();

    pub(super) fn own_group(_: &mut super::Command) {}

    pub(super) fn leader(_: &super::Child) -> Option<Leader> {
        None
    }

    pub(super) fn terminate(_: &Leader) {}

    pub(super) fn kill(_: &Leader) {}

    pub(super) fn executable(_: &std::fs::Metadata) -> bool {
        true
    }
}
