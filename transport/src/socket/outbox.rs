//! What waits to be sent, bounded, and cut into small frames.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use inkwire_protocol::limits::PACKET_HEADER_BYTES;
use inkwire_protocol::packet::Header;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::limits::{FRAME_BYTES, MAX_PINGS};

/// A frame's header is at most this long (2 + 8 + 4).
const FRAME_HEADER_BYTES: usize = 14;

/// The message was not queued: send what is queued first ([`super::Socket::flush`], or wait for
/// [`super::Ready::Writable`]), or close the socket as slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{queued} bytes wait to be sent, {message} more would pass the limit of {limit}")]
pub struct Full {
    /// Bytes that wait.
    pub queued: usize,
    /// Bytes of the message that was refused.
    pub message: usize,
    /// How much may wait.
    pub limit: usize,
}

#[derive(Debug)]
pub(super) struct Outbox {
    messages: VecDeque<Outgoing>,
    bytes: usize,
    limit: usize,
    ping_due: bool,
    next_ping: u32,
    /// Number, and when the kernel had it.
    pings: Vec<(u32, Option<Instant>)>,
}

#[derive(Debug)]
struct Outgoing {
    kind: Data,
    rest: Bytes,
    begun: bool,
}

impl Outbox {
    pub(super) const fn new(limit: usize) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, limit, ping_due: false, next_ping: 0, pings: Vec::new() }
    }

    /// Bytes of messages that wait here.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn text(&mut self, text: Utf8Bytes) -> Result<(), Full> {
        self.room_for(text.len())?;
        self.push(Data::Text, text.into());
        Ok(())
    }

    pub(super) fn packet(&mut self, header: &Header, data: &[u8]) -> Result<(), Full> {
        let length = PACKET_HEADER_BYTES + data.len();
        self.room_for(length)?;
        let mut message = BytesMut::with_capacity(length);
        message.extend_from_slice(&header.encode());
        message.extend_from_slice(data);
        self.push(Data::Binary, message.freeze());
        Ok(())
    }

    pub(super) fn ping(&mut self) {
        self.ping_due = true;
    }

    /// Throws away what was not begun, for a socket that closes at once.
    pub(super) fn clear(&mut self) {
        self.messages = VecDeque::new();
        self.bytes = 0;
        self.ping_due = false;
    }

    fn room_for(&self, message: usize) -> Result<(), Full> {
        if self.messages.is_empty() || self.bytes + message <= self.limit {
            return Ok(());
        }
        Err(Full { queued: self.bytes, message, limit: self.limit })
    }

    fn push(&mut self, kind: Data, rest: Bytes) {
        self.bytes += rest.len();
        self.messages.push_back(Outgoing { kind, rest, begun: false });
    }

    /// The next frame if it (or a useful part of a large message) fits into `room`; `alone` says that nothing was gathered
    /// before it, then there always is one while something waits.
    pub(super) fn next_frame(&mut self, room: usize, alone: bool) -> Option<Frame> {
        if self.ping_due {
            self.ping_due = false;
            return Some(self.ping_frame());
        }
        let largest = FRAME_BYTES - FRAME_HEADER_BYTES;
        let front = self.messages.front_mut()?;
        let size = front.rest.len().min(largest);
        if !alone && size + FRAME_HEADER_BYTES > room {
            return None;
        }
        let part = front.rest.split_to(size);
        let kind = if front.begun { Data::Continue } else { front.kind };
        let last = front.rest.is_empty();
        front.begun = true;
        self.bytes -= size;
        if last {
            self.messages.pop_front();
            if self.messages.is_empty() && self.messages.capacity() > 8 {
                self.messages = VecDeque::new();
            }
        }
        Some(Frame::message(part, OpCode::Data(kind), last))
    }

    fn ping_frame(&mut self) -> Frame {
        if self.pings.len() >= MAX_PINGS {
            self.pings.remove(0);
        }
        let number = self.next_ping;
        self.next_ping = number.wrapping_add(1);
        self.pings.push((number, None));
        Frame::ping(Bytes::copy_from_slice(&number.to_be_bytes()))
    }

    /// All frames given out so far are with the kernel.
    pub(super) fn flushed(&mut self, now: Instant) {
        for (_, at) in &mut self.pings {
            at.get_or_insert(now);
        }
    }

    /// The round trip, if the Pong answers one of our Pings; it and all earlier ones are then done.
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let number = u32::from_be_bytes(payload.try_into().ok()?);
        let place = self.pings.iter().position(|(sent, _)| *sent == number)?;
        let (_, at) = self.pings.drain(..=place).next_back()?;
        Some(at.map_or(Duration::ZERO, |at| now.duration_since(at)))
    }
}
