//! The task that owns the connection, and the handle to it.

mod calls;
mod session;
mod subscription;
mod task;
mod uploads;

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::client::Options;
use crate::error::Error;
use crate::limits::COMMAND_QUEUE;

pub(crate) use subscription::Subscription;
pub(crate) use uploads::{UploadChannel, UploadState};

/// Whether a request may go out again when its connection was lost before the answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It does no harm twice.
    Always,
    /// Only where it had not been sent at all.
    Unsent,
    /// It makes sense on this connection only.
    Only(u64),
}

/// A request on its way to the link task.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    pub(crate) repeat: Repeat,
    pub(crate) within: Duration,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Answered, Error>>,
}

/// A result, and the number of the connection that it came on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) result: Value,
    pub(crate) connection: u64,
}

/// What the link task is told.
#[derive(Debug)]
pub(crate) enum Command {
    Call(Call),
    Upload(UploadChannel),
}

/// The handle. The task ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    commands: mpsc::Sender<Command>,
}

impl Link {
    /// Starts the task and waits for the first connection.
    pub(crate) async fn connect(
        options: &Options,
        subscription: Option<Subscription>,
    ) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let (first, connected) = oneshot::channel();
        let task = task::Task::new(options.clone(), inbox, subscription);
        let alive = options.links.subscribe();
        tokio::spawn(async move {
            task.run(first).await;
            drop(alive);
        });
        connected.await.map_err(|_| Error::Closed)??;
        Ok(Self { commands })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: Value,
        repeat: Repeat,
        within: Duration,
    ) -> Result<Answered, Error> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + within;
        let call = Call { method, params, repeat, within, deadline, reply };
        tokio::time::timeout_at(deadline, self.commands.send(Command::Call(call)))
            .await
            .map_err(|_| Error::Timeout { method, within })?
            .map_err(|_| Error::Closed)?;
        // The task answers every call by its deadline.
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Opens a channel for packets; its end is told through its state.
    pub(crate) async fn upload(&self, channel: UploadChannel) -> Result<(), Error> {
        self.commands.send(Command::Upload(channel)).await.map_err(|_| Error::Closed)
    }
}
