//! One WebSocket in one task, both directions at once.
//!
//! ```text
//!   queue_text, queue_packet ──▶ Outbox ──(frames of <= 4 KiB)──▶ tungstenite ──▶ TLS ──▶ kernel
//!   ready() ◀── messages ◀── tungstenite ◀── TLS ◀── kernel          one poll drives both lines
//! ```
//!
//! All progress is kept in the socket and none in a future, so that [`Socket::ready`] may be dropped at any time.

mod closed;
mod closing;
mod config;
mod outbox;
mod stall;

pub use closed::Closed;
pub use config::SocketConfig;
pub use outbox::Full;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::packet::Header;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use self::closing::Closing;
use self::outbox::Outbox;
use self::stall::Stall;
use crate::limits::{FRAME_BYTES, MAX_CONTROL_FRAMES_A_POLL};
use crate::metered::Meter;

/// What [`Socket::ready`] came back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A text message.
    Text(String),
    /// A binary message. It may share memory with the read buffer: parse it, do not keep it.
    Binary(Bytes),
    /// The answer to [`Socket::queue_ping`].
    Pong {
        /// From handing the Ping to the kernel until now.
        rtt: Duration,
    },
    /// Everything queued is with the kernel, and more was wanted.
    Writable,
    /// The end; every later call gives the same.
    Closed(Closed),
}

/// A WebSocket that one task owns. Nothing moves unless [`Socket::ready`] or [`Socket::flush`] is awaited: not calling
/// them is how a peer is slowed down.
#[derive(Debug)]
pub struct Socket<S> {
    stream: WebSocketStream<S>,
    outbox: Outbox,
    config: SocketConfig,
    meter: Meter,
    /// Bytes that tungstenite holds and the kernel has not taken.
    unflushed: usize,
    /// A message was given last: where both are possible, it is the writer's turn.
    read_last: bool,
    stall: Option<Stall>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Open,
    Closing(Box<Closing>),
    Closed(Closed),
}

/// Takes over the server's side of an upgraded connection. `leftover` is what the HTTP library has read already;
/// `meter` counts below TLS ([`crate::Metered::meter`] of the accepted TCP stream).
pub async fn accept<S>(io: S, leftover: Bytes, meter: Meter, config: SocketConfig) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Socket::over(io, leftover, meter, config, Role::Server).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) async fn over(io: S, leftover: Bytes, meter: Meter, config: SocketConfig, role: Role) -> Self {
        let stream =
            WebSocketStream::from_partially_read(io, leftover.into(), role, Some(config.websocket())).await;
        Self {
            stream,
            outbox: Outbox::new(config.max_queued_bytes),
            config,
            meter,
            unflushed: 0,
            read_last: false,
            stall: None,
            phase: Phase::Open,
        }
    }

    /// Puts a text message behind what is queued. No I/O. On a socket that is closing it is dropped:
    /// [`Socket::ready`] says why.
    /// A text that was made for many sockets is shared between them.
    pub fn queue_text(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), Full> {
        self.outbox.text(text.into())
    }

    /// Puts a packet behind what is queued: header and data become one binary message in one allocation. No I/O.
    pub fn queue_packet(&mut self, header: &Header, data: &[u8]) -> Result<(), Full> {
        self.outbox.packet(header, data)
    }

    /// Sends a Ping before everything else that is queued; its answer comes as [`Ready::Pong`].
    pub fn queue_ping(&mut self) {
        self.outbox.ping();
    }

    /// Bytes that were queued and are not yet with the kernel.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes() + self.unflushed
    }

    /// Bytes read from the network so far, TLS included: liveness is these, not messages.
    pub fn bytes_read(&self) -> u64 {
        self.meter.bytes_read()
    }

    /// Bytes that the kernel has taken so far, TLS included.
    pub fn bytes_written(&self) -> u64 {
        self.meter.bytes_written()
    }

    /// When the last byte was read.
    pub fn last_read(&self) -> Instant {
        self.meter.last_read()
    }

    /// The counters, to be looked at by another task.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The stream beneath.
    pub fn io(&self) -> &S {
        self.stream.get_ref()
    }

    /// Reads and writes until there is something to say; [`Ready::Writable`] only if `want_write`. Pings are answered on
    /// the way. Cancel safe: dropping the future loses nothing.
    ///
    /// A message over its limit or against the WebSocket rules closes the socket with code 4101 or 4100; a peer that
    /// takes nothing for [`SocketConfig::send_within`] with `slow`. All of these are [`Ready::Closed`].
    pub async fn ready(&mut self, want_write: bool) -> Ready {
        poll_fn(|cx| self.poll_ready(cx, want_write)).await
    }

    /// Writes what is queued and reads nothing: what a session does while it cannot take more. Cancel safe. `Err` is the
    /// same value that [`Socket::ready`] gives from then on.
    pub async fn flush(&mut self) -> Result<(), Closed> {
        poll_fn(|cx| {
            if matches!(self.phase, Phase::Open) {
                let drained = ready!(self.poll_drain(cx));
                match drained {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(closed) => self.phase = Phase::Closed(closed),
                }
            }
            self.poll_closed(cx).map(Err)
        })
        .await
    }

    /// Sends what is queued and then a close frame, waits for the peer's and shuts the connection down, all within
    /// [`inkwire_protocol::limits::CLOSE_WITHIN`]. Gives what the end was: the peer may have closed first.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Closed {
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::Closing(Box::new(Closing::by_us(code, reason)));
        }
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>, want_write: bool) -> Poll<Ready> {
        if !matches!(self.phase, Phase::Open) {
            return self.poll_closed(cx).map(Ready::Closed);
        }
        // A failed write ends the socket, but the peer may have said why before: what has come is read first.
        let (drained, broken) = match self.poll_drain(cx) {
            Poll::Ready(Ok(())) => (true, None),
            Poll::Ready(Err(closed)) => (false, Some(closed)),
            Poll::Pending => (false, None),
        };
        if want_write && drained && self.read_last {
            self.read_last = false;
            return Poll::Ready(Ready::Writable);
        }
        for _ in 0..MAX_CONTROL_FRAMES_A_POLL {
            let message = match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Pending if want_write && drained => return Poll::Ready(Ready::Writable),
                Poll::Pending => match broken {
                    Some(closed) => return self.end(closed),
                    None => return Poll::Pending,
                },
                Poll::Ready(message) => message,
            };
            let said = match message {
                Some(Ok(message)) => self.take(message),
                Some(Err(error)) => Some(Err(Closing::after(error))),
                None => Some(Err(Closing::after(Error::ConnectionClosed))),
            };
            match said {
                None => {}
                Some(Ok(ready)) => {
                    self.read_last = true;
                    return Poll::Ready(ready);
                }
                Some(Err(closing)) => {
                    self.phase = closing.into_phase();
                    return self.poll_closed(cx).map(Ready::Closed);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What a message means to the caller; `None` for what is handled here.
    fn take(&mut self, message: Message) -> Option<Result<Ready, Closing>> {
        match message {
            Message::Text(text) if text.len() > self.config.max_text_bytes => {
                Some(Err(Closing::too_large("text", text.len(), self.config.max_text_bytes)))
            }
            Message::Binary(data) if data.len() > self.config.max_binary_bytes => {
                Some(Err(Closing::too_large("binary", data.len(), self.config.max_binary_bytes)))
            }
            Message::Text(text) => Some(Ok(Ready::Text(text.as_str().to_owned()))),
            Message::Binary(data) => Some(Ok(Ready::Binary(data))),
            Message::Pong(payload) => {
                self.outbox.pong(&payload, Instant::now()).map(|rtt| Ok(Ready::Pong { rtt }))
            }
            Message::Close(frame) => Some(Err(Closing::by_peer(frame))),
            // tungstenite has queued the answer to a Ping and writes it with the next poll; frames are never given out.
            Message::Ping(_) | Message::Frame(_) => None,
        }
    }

    /// Moves what is queued into the kernel; ready when nothing is left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let polled = self.poll_write_out(cx);
        match polled {
            Poll::Ready(_) => {
                self.stall = None;
                polled
            }
            Poll::Pending => {
                let written = self.meter.bytes_written();
                let stall = self.stall.get_or_insert_with(|| Stall::new(self.config.send_within, written));
                ready!(stall.poll_expired(cx, written));
                Poll::Ready(Err(Closed::slow(self.config.send_within)))
            }
        }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        loop {
            // A frame's worth is gathered, so that small messages share a TLS record, then it must go before more comes.
            while self.unflushed < FRAME_BYTES {
                let room = (FRAME_BYTES - self.unflushed, self.unflushed == 0);
                let Some(frame) = self.outbox.next_frame(room.0, room.1) else { break };
                self.unflushed += frame.len();
                if let Err(error) = Pin::new(&mut self.stream).start_send(Message::Frame(frame)) {
                    return Poll::Ready(Err(closed::from_write(error)));
                }
            }
            if self.unflushed == 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
                Ok(()) => {
                    self.unflushed = 0;
                    self.outbox.flushed(Instant::now());
                }
                Err(error) => return Poll::Ready(Err(closed::from_write(error))),
            }
        }
    }

    fn end(&mut self, closed: Closed) -> Poll<Ready> {
        self.phase = Phase::Closed(closed.clone());
        Poll::Ready(Ready::Closed(closed))
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Open) {
                Phase::Open => return Poll::Pending,
                Phase::Closed(closed) => {
                    self.phase = Phase::Closed(closed.clone());
                    return Poll::Ready(closed);
                }
                Phase::Closing(mut closing) => match self.poll_closing(cx, &mut closing) {
                    Poll::Pending => {
                        self.phase = Phase::Closing(closing);
                        return Poll::Pending;
                    }
                    Poll::Ready(closed) => self.phase = Phase::Closed(closed),
                },
            }
        }
    }
}
