//! The life of a session: one task that waits for the socket, for commands, for a packet from the document store, for
//! the clock, and for its end.

use std::time::Instant;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AccountId, AgentId, Epoch, StoreEpoch};
use inkwire_protocol::message::{RefuseReason, ToAgent, encode};
use inkwire_protocol::session::silence::{Silence, Watch};
use inkwire_transport::{Ready, Socket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;

use super::begin::New;
use super::ending::Ending;
use super::link::{SessionCommand, SessionEvent, What};
use super::mailbox::Commands;
use super::outbound::{OpenError, Outbound};
use super::packets::{Read, Reading};
use super::registry::Live;
use super::{Guard, SharedSessions, counters};
use crate::clock::now_ms;
use crate::store::{Change, NewEvent};

/// A live session. Its size is memory of every agent: what is rare is boxed.
#[derive(Debug)]
pub(super) struct Actor<S> {
    pub(super) sessions: SharedSessions,
    pub(super) agent: AgentId,
    pub(super) account: AccountId,
    pub(super) epoch: Epoch,
    pub(super) store_epoch: StoreEpoch,
    pub(super) socket: Socket<S>,
    pub(super) live: std::sync::Arc<Live>,
    pub(super) outbound: Outbound,
    /// A packet that is being read from the document store.
    pub(super) reading: Option<Box<Reading>>,
    commands: Commands,
    silence: Silence,
    bytes_read: u64,
    /// The connection's places; given back at the end.
    _guard: Guard,
}

/// What a session waited for.
enum Next {
    End,
    Timer,
    Command(SessionCommand),
    Read(Read),
    Socket(Ready),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Actor<S> {
    pub(super) fn new(sessions: SharedSessions, socket: Socket<S>, new: New, guard: Guard) -> Self {
        let bytes_read = socket.bytes_read();
        Self {
            agent: new.agent,
            account: new.started.agent.account,
            epoch: new.handle.epoch,
            store_epoch: new.started.store_epoch,
            socket,
            live: new.handle.live,
            outbound: Outbound::default(),
            reading: None,
            commands: new.commands,
            silence: Silence::new(Instant::now(), sessions.report_interval),
            sessions,
            bytes_read,
            _guard: guard,
        }
    }

    /// Lives until the end, then tells everybody.
    pub(super) async fn run(mut self: Box<Self>) {
        let ending = self.serve().await;
        self.sessions.counters.delivery.changed(self.outbound.len(), 0);
        // From here on nothing that arrives changes anything. A successor is welcomed after `stopped`: the jobs hear of this
        // end before, if they keep up.
        let what = What::Offline { reason: ending.code, cut: self.outbound.cut() };
        let event = SessionEvent { agent: self.agent, epoch: self.epoch, what };
        let late = self.sessions.events.try_send(event).err();
        self.live.stopped.close();
        self.sessions.registry.leave(self.agent, self.epoch);
        Box::pin(self.finish(ending, late)).await;
    }

    async fn serve(&mut self) -> Ending {
        let timer = tokio::time::sleep_until(self.watch_until());
        tokio::pin!(timer);
        loop {
            let want_write = self.reading.is_none() && self.outbound.has_due();
            let next = tokio::select! {
                biased;
                () = self.live.end.closed() => Next::End,
                () = &mut timer => Next::Timer,
                Some(command) = self.commands.recv() => Next::Command(command),
                read = Reading::wait(&mut self.reading) => Next::Read(read),
                ready = self.socket.ready(want_write) => Next::Socket(ready),
            };
            let is_timer = matches!(next, Next::Timer);
            let was_waiting = self.waits();
            let open = self.outbound.len();
            // Boxed: what is only needed while something happens is no memory of an idle session.
            let gone_on = Box::pin(self.on(next)).await;
            self.sessions.counters.delivery.changed(open, self.outbound.len());
            if let Err(ending) = gone_on {
                return ending;
            }
            self.silence.set_waiting(Instant::now(), self.outbound.owes_ack());
            if is_timer || (self.waits() && !was_waiting) {
                match Box::pin(self.watch()).await {
                    Ok(until) => timer.as_mut().reset(until),
                    Err(ending) => return ending,
                }
            }
        }
    }

    /// Whether the clock matters sooner than for an idle session.
    fn waits(&self) -> bool {
        self.reading.is_some() || self.outbound.owes_ack()
    }

    async fn on(&mut self, next: Next) -> Result<(), Ending> {
        self.note_bytes().await?;
        match next {
            Next::End => Err(Ending::of(self.live.end_code())),
            Next::Timer => Ok(()),
            Next::Command(command) => self.on_command(command).await,
            Next::Read(read) => self.on_read(read).await,
            Next::Socket(Ready::Writable) => self.send_due().await,
            Next::Socket(Ready::Text(text)) => self.on_text(&text).await,
            Next::Socket(Ready::Binary(_)) => Err(Ending::violation("an agent sends no packets")),
            Next::Socket(Ready::Pong { .. }) => Ok(()),
            Next::Socket(Ready::Closed(closed)) => Err(Ending::new(closed.code(), closed.to_string())),
        }
    }

    async fn on_command(&mut self, command: SessionCommand) -> Result<(), Ending> {
        match command {
            SessionCommand::Open(wanted) => {
                let (job, attempt) = (wanted.open.job, wanted.open.attempt);
                match self.outbound.open(*wanted) {
                    Ok(open) => {
                        self.say(&ToAgent::Open(Box::new(open)))?;
                        self.ask_for_permits().await
                    }
                    Err(OpenError::TooMany) => {
                        let reason = RefuseReason::Busy;
                        self.tell(What::Refused { job, attempt, reason, detail: None }).await
                    }
                    Err(error @ OpenError::Layout(_)) => {
                        self.tell(What::SourceFailed { job, attempt, error: error.to_string() }).await
                    }
                }
            }
            SessionCommand::Permit { job, attempt } => {
                self.outbound.permit(job, attempt);
                Ok(())
            }
            SessionCommand::Drop { job, attempt, reason } => {
                self.outbound.drop_attempt(job, attempt);
                self.say(&ToAgent::Drop { job, attempt, reason: reason.to_owned() })
            }
            SessionCommand::Request { job, attempt, request } => {
                self.say(&ToAgent::Request { job, attempt, request })
            }
            SessionCommand::FactAck { job, attempt, fact_seq, facts_acked, receipt } => {
                let receipt = Some(*receipt);
                self.say(&ToAgent::FactAck { job, attempt, fact_seq, facts_acked, receipt })
            }
            SessionCommand::Close { code, detail } => Err(Ending::new(code, detail)),
            SessionCommand::Drain { retry_after_ms } => self.say(&ToAgent::Drain { retry_after_ms }),
        }
    }

    /// Queues a message for the agent.
    pub(super) fn say(&mut self, message: &ToAgent) -> Result<(), Ending> {
        Ok(self.socket.queue_text(encode(message)?)?)
    }

    /// Tells the jobs. While they are behind, the socket is not read.
    pub(super) async fn tell(&mut self, what: What) -> Result<(), Ending> {
        let event = SessionEvent { agent: self.agent, epoch: self.epoch, what };
        let event = match self.sessions.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Ending::of(CloseCode::Draining)),
            Err(TrySendError::Full(event)) => event,
        };
        tokio::select! {
            () = self.live.end.closed() => Err(Ending::of(self.live.end_code())),
            sent = self.sessions.events.send(event) => sent.map_err(|_| Ending::of(CloseCode::Draining)),
        }
    }

    /// Tells the jobs what may be lost: progress, which is repeated.
    pub(super) fn mention(&self, what: What) {
        let event = SessionEvent { agent: self.agent, epoch: self.epoch, what };
        if self.sessions.events.try_send(event).is_err() {
            tracing::trace!("progress dropped: the jobs are behind");
        }
    }

    /// Liveness is bytes, whatever they mean.
    async fn note_bytes(&mut self) -> Result<(), Ending> {
        let bytes = self.socket.bytes_read();
        if bytes == self.bytes_read {
            return Ok(());
        }
        self.bytes_read = bytes;
        if self.silence.on_bytes(self.socket.last_read().into_std()) {
            tracing::info!("the agent is heard again");
            self.live.set_silent(false);
            Box::pin(self.log_event("agent.heard")).await;
            self.tell(What::Silent(false)).await?;
        }
        Ok(())
    }

    /// Puts an event about the agent into its account's log.
    async fn log_event(&mut self, kind: &'static str) {
        let event = NewEvent {
            at_ms: now_ms(),
            kind,
            job: None,
            agent: Some(self.agent),
            printer: None,
            data: serde_json::json!({ "epoch": self.epoch }),
        };
        if let Err(error) =
            self.sessions.store.commit(vec![Change::Event { account: self.account, event }]).await
        {
            tracing::warn!(%error, kind, "an event could not be stored");
        }
    }

    /// Does what the clock asks for, and says when to look again.
    async fn watch(&mut self) -> Result<tokio::time::Instant, Ending> {
        let now = Instant::now();
        self.watch_source(now)?;
        loop {
            match self.silence.poll(now) {
                Watch::Nothing { until } => {
                    let until = self.reading.as_ref().map_or(until, |reading| until.min(reading.slow_at()));
                    return Ok(until.into());
                }
                Watch::SendProbe => {
                    self.socket.queue_ping();
                    self.silence.on_probe_sent();
                }
                Watch::MarkSilent => {
                    tracing::info!("the agent is silent although it owes an answer");
                    self.live.set_silent(true);
                    Box::pin(self.log_event("agent.silent")).await;
                    self.tell(What::Silent(true)).await?;
                }
                Watch::Gone => return Err(Ending::new(CloseCode::Silent, "no report came in time")),
            }
        }
    }

    fn watch_until(&mut self) -> tokio::time::Instant {
        match self.silence.poll(Instant::now()) {
            Watch::Nothing { until } => until.into(),
            Watch::SendProbe | Watch::MarkSilent | Watch::Gone => tokio::time::Instant::now(),
        }
    }

    async fn finish(mut self: Box<Self>, ending: Ending, late: Option<TrySendError<SessionEvent>>) {
        let code = ending.code;
        self.sessions.counters.closed(code);
        if counters::is_violation(code) {
            tracing::warn!(
                code = code.name(),
                detail = ending.detail.as_ref(),
                "session ended by a mistake of the agent"
            );
        } else {
            tracing::info!(code = code.name(), detail = ending.detail.as_ref(), "session ended");
        }
        if let Some(TrySendError::Full(event) | TrySendError::Closed(event)) = late
            && self.sessions.events.send(event).await.is_err()
        {
            tracing::debug!("the jobs have stopped before the session");
        }
        let end = Change::EndSession {
            account: self.account,
            agent: self.agent,
            epoch: self.epoch,
            at_ms: now_ms(),
            reason: code.name().to_owned(),
        };
        let (committed, _) =
            tokio::join!(self.sessions.store.commit(vec![end]), self.socket.close(code, &ending.detail));
        if let Err(error) = committed {
            tracing::warn!(%error, "the end of the session could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Io;

    fn size_of_future<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Ten thousand idle agents are ten thousand times this.
    #[test]
    fn a_session_s_task_is_small() {
        let task = size_of_future(Actor::<Io>::run);
        let parts = [size_of::<Actor<Io>>(), size_of::<Socket<Io>>(), size_of::<Io>(), size_of::<Live>()];
        println!("task {task}, actor, socket, io, live {parts:?}, command {}", size_of::<SessionCommand>());
        assert!(task <= 1024 && parts[0] <= 3 * 1024, "{task} bytes, {parts:?}");
        assert!(size_of::<SessionCommand>() <= 48);
    }
}
