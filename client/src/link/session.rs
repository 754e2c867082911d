//! One connection, from its first message to its end.

use std::future::poll_fn;
use std::pin::pin;

use inkwire_protocol::app::{Events, JobProgress, RpcError, RpcResponse, Subscribed, UploadRefused, method};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::Ack;
use inkwire_protocol::session::liveness::{Action, Liveness};
use inkwire_transport::{Closed, Ready, Socket};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::calls::Calls;
use super::uploads::Uploads;
use super::{Answered, Call, Command, Repeat, Subscription, UploadState};
use crate::error::Error;
use crate::limits::{CALL_WITHIN, MAX_PENDING_CALLS, PING_EVERY};

/// What outlives a connection.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) calls: Calls,
    pub(super) uploads: Uploads,
    pub(super) subscription: Option<Subscription>,
}

impl Held {
    /// Takes a command; `connection` is the one that stands, if one does.
    pub(super) fn take(&mut self, command: Command, connection: Option<u64>) {
        match command {
            Command::Call(call) => self.calls.add(call, connection),
            Command::Upload(channel) if connection == Some(channel.connection) => self.uploads.add(channel),
            Command::Upload(channel) => {
                channel.state.send_replace(UploadState::Lost);
            }
        }
    }

    pub(super) fn on_lost(&mut self) {
        self.calls.on_lost();
        self.uploads.on_lost();
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Over {
    /// The socket did.
    Closed(Closed),
    /// No byte came for too long.
    Silent,
    /// Nobody needs it any more.
    Unneeded,
    /// The broker does not allow what the connection is for.
    Refused(Error),
}

/// One connection at work.
pub(super) struct Session<'a, S> {
    /// Its number: channels are only good on it.
    number: u64,
    socket: Socket<S>,
    held: &'a mut Held,
    inbox: &'a mut mpsc::Receiver<Command>,
    live: Liveness,
    bytes_seen: u64,
    subscribed: Option<oneshot::Receiver<Result<Answered, Error>>>,
}

/// A response or a notification.
#[derive(Deserialize)]
struct Incoming {
    #[serde(default)]
    id: Value,
    method: Option<String>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<RpcError>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    pub(super) fn new(
        number: u64,
        socket: Socket<S>,
        held: &'a mut Held,
        inbox: &'a mut mpsc::Receiver<Command>,
    ) -> Self {
        let live = Liveness::new(Instant::now().into_std(), PING_EVERY, rand::random());
        Self { number, socket, held, inbox, live, bytes_seen: 0, subscribed: None }
    }

    /// Works until the end. An orderly end says goodbye; a dead path gets no farewell.
    pub(super) async fn run(mut self) -> Over {
        self.subscribe();
        let over = loop {
            if let Some(over) = self.turn().await {
                break over;
            }
        };
        match &over {
            Over::Unneeded | Over::Refused(_) => {
                let closed = self.socket.close(CloseCode::Normal, "").await;
                tracing::debug!(%closed, "connection closed");
            }
            Over::Closed(closed) => tracing::debug!(%closed, "connection ended"),
            Over::Silent => tracing::debug!("no byte came for too long"),
        }
        over
    }

    fn subscribe(&mut self) {
        let Some(subscription) = &self.held.subscription else { return };
        let (reply, answer) = oneshot::channel();
        let params = serde_json::to_value(subscription.request()).unwrap_or_default();
        let (within, deadline) = (CALL_WITHIN, Instant::now() + CALL_WITHIN);
        let repeat = Repeat::Only(self.number);
        let call = Call { method: method::EVENTS_SUBSCRIBE, params, repeat, within, deadline, reply };
        self.held.calls.add(call, Some(self.number));
        self.subscribed = Some(answer);
    }

    /// Waits for the next thing and does it.
    async fn turn(&mut self) -> Option<Over> {
        if let Some(over) = self.deliver().await {
            return Some(over);
        }
        let until = match self.watch_path() {
            Ok(until) => until,
            Err(over) => return Some(over),
        };
        let due = self.held.calls.next_deadline().map_or(until, |deadline| until.min(deadline));
        let want_write = self.held.calls.has_unsent() || self.held.uploads.is_staged();
        let room = self.held.calls.len() < MAX_PENDING_CALLS;
        let may_stage = !self.held.uploads.is_staged();
        let (socket, uploads) = (&mut self.socket, &mut self.held.uploads);
        let staged = pin!(poll_fn(|cx| uploads.poll_stage(cx)));
        let subscribed = async {
            match self.subscribed.as_mut() {
                Some(answer) => answer.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = subscribed => {
                self.subscribed = None;
                self.on_subscribed(answer.unwrap_or(Err(Error::Closed)))
            }
            ready = socket.ready(want_write) => self.on_ready(ready),
            command = self.inbox.recv(), if room => match command {
                Some(command) => {
                    self.held.take(command, Some(self.number));
                    None
                }
                None => Some(Over::Unneeded),
            },
            () = staged, if may_stage => None,
            () = tokio::time::sleep_until(due) => {
                self.held.calls.on_time(Instant::now(), None);
                None
            }
        }
    }

    /// Gives the consumer what it has not taken; until then the socket is not read.
    async fn deliver(&mut self) -> Option<Over> {
        let subscription = self.held.subscription.as_mut()?;
        while subscription.is_behind() {
            if !subscription.deliver().await {
                return Some(Over::Unneeded);
            }
            self.live.on_bytes(Instant::now().into_std());
        }
        None
    }

    /// Asks the path's rule what is due; says when to ask again.
    fn watch_path(&mut self) -> Result<Instant, Over> {
        let bytes = self.socket.bytes_read();
        if bytes != self.bytes_seen {
            self.bytes_seen = bytes;
            self.live.on_bytes(self.socket.last_read().into_std());
        }
        let now = Instant::now().into_std();
        let expecting = self.held.uploads.in_flight() || self.held.calls.awaits_answer();
        self.live.set_expecting(now, expecting);
        loop {
            let queued = std::time::Duration::ZERO;
            match self.live.poll(now) {
                Action::Nothing { until } => return Ok(Instant::from_std(until)),
                Action::SendProbe => {
                    self.socket.queue_ping();
                    self.live.on_probe_sent(now, queued);
                }
                Action::SendReport => {
                    self.socket.queue_ping();
                    self.live.on_report_sent(now, queued, rand::random());
                }
                Action::Dead => return Err(Over::Silent),
            }
        }
    }

    fn on_ready(&mut self, ready: Ready) -> Option<Over> {
        match ready {
            Ready::Text(text) => self.on_text(&text),
            Ready::Binary(_) => {
                Some(self.violation("a binary message, which a broker never sends to an app"))
            }
            Ready::Pong { .. } => {
                self.live.on_pong(Instant::now().into_std());
                None
            }
            Ready::Writable => self.write(),
            Ready::Closed(closed) => Some(Over::Closed(closed)),
        }
    }

    /// The socket takes more: a request first, else a packet.
    fn write(&mut self) -> Option<Over> {
        let queued = if let Some(text) = self.held.calls.take_unsent() {
            self.socket.queue_text(text)
        } else if let Some((header, data)) = self.held.uploads.take_staged() {
            self.socket.queue_packet(&header, &data)
        } else {
            Ok(())
        };
        // Cannot be full: nothing else was queued. If it is, a new connection is the safe answer.
        queued.err().map(|full| self.violation(&full.to_string()))
    }

    fn on_text(&mut self, text: &str) -> Option<Over> {
        let incoming: Incoming = match serde_json::from_str(text) {
            Ok(incoming) => incoming,
            Err(error) => return Some(self.violation(&format!("a message that is no JSON-RPC: {error}"))),
        };
        let Some(method) = incoming.method else {
            let Incoming { id, result, error, .. } = incoming;
            let response = RpcResponse { jsonrpc: "2.0".to_owned(), id, result, error };
            self.held.calls.on_answer(response, self.number);
            return None;
        };
        self.on_notification(&method, incoming.params.unwrap_or_default())
            .err()
            .map(|detail| self.violation(&detail))
    }

    fn on_notification(&mut self, method: &str, params: Value) -> Result<(), String> {
        let wrong = |error: serde_json::Error| format!("notification `{method}`: {error}");
        match method {
            method::UPLOAD_ACK => {
                let ack: Ack = serde_json::from_value(params).map_err(wrong)?;
                self.held.uploads.on_ack(ack).map_err(|violation| violation.to_string())?;
            }
            method::UPLOAD_REFUSED => {
                let refused: UploadRefused = serde_json::from_value(params).map_err(wrong)?;
                self.held.uploads.on_refused(refused);
            }
            method::EVENTS => {
                let events: Events = serde_json::from_value(params).map_err(wrong)?;
                if let Some(subscription) = &mut self.held.subscription {
                    subscription.on_events(events);
                }
            }
            method::JOB_PROGRESS => {
                let progress: JobProgress = serde_json::from_value(params).map_err(wrong)?;
                if let Some(subscription) = &mut self.held.subscription {
                    subscription.on_progress(progress);
                }
            }
            other => tracing::debug!(method = other, "a notification that this version does not know"),
        }
        Ok(())
    }

    fn on_subscribed(&mut self, answer: Result<Answered, Error>) -> Option<Over> {
        let answered = match answer {
            Ok(answered) => serde_json::from_value::<Subscribed>(answered.result)
                .map_err(|error| self.violation(&format!("answer to the subscription: {error}"))),
            Err(error) if error.problem().is_some() && !error.is_retryable() => Err(Over::Refused(error)),
            Err(error) => {
                tracing::debug!(%error, "not subscribed");
                Err(Over::Silent)
            }
        };
        match (answered, &mut self.held.subscription) {
            (Ok(subscribed), Some(subscription)) => {
                subscription.on_subscribed(subscribed);
                None
            }
            (Ok(_), None) => None,
            (Err(over), _) => Some(over),
        }
    }

    /// The broker (or this library) broke a rule: the connection is given up and made anew.
    fn violation(&self, reason: &str) -> Over {
        tracing::warn!(reason, "the broker broke the protocol");
        let code = CloseCode::ProtocolViolation;
        Over::Closed(Closed::Said { code, reason: reason.to_owned(), by_us: true })
    }
}
