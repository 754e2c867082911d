//! One end of a connection, with the face of the real socket.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::SEND_WITHIN;
use inkwire_protocol::packet::Header;
use tokio::time::Instant;

use super::line::{Arrived, Conn, Side};
use super::{Closed, Full, Ready};
use crate::watch;

/// More is not queued.
const QUEUE_BYTES: usize = 512 * 1024;

/// What goes over a line.
#[derive(Debug)]
pub(super) enum Frame {
    Text(String),
    Binary(Bytes),
    Ping,
    Pong,
    Close(CloseCode, String),
    /// The process is gone, its kernel says so.
    Gone,
}

impl Frame {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 8,
            Self::Binary(data) => data.len() + 8,
            Self::Close(_, reason) => reason.len() + 8,
            Self::Ping | Self::Pong | Self::Gone => 8,
        }
    }
}

/// A socket. Nothing moves unless it is awaited.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    conn: Arc<Conn>,
    side: Side,
    queue: VecDeque<Frame>,
    queued: usize,
    pings: VecDeque<Instant>,
    read: u64,
    written: u64,
    last_read: Instant,
    read_last: bool,
    /// Since when the kernel takes nothing.
    full_since: Option<Instant>,
    closed: Option<Closed>,
    /// The stream beneath, which is not there.
    over: PhantomData<fn() -> S>,
}

impl<S> Socket<S> {
    pub(crate) fn new(conn: Arc<Conn>, side: Side) -> Self {
        Self {
            conn,
            side,
            queue: VecDeque::new(),
            queued: 0,
            pings: VecDeque::new(),
            read: 0,
            written: 0,
            last_read: Instant::now(),
            read_last: false,
            full_since: None,
            closed: None,
            over: PhantomData,
        }
    }

    fn put(&mut self, frame: Frame) -> Result<(), Full> {
        let message = frame.bytes();
        if self.queued + message > QUEUE_BYTES {
            return Err(Full { queued: self.queued, message });
        }
        self.queued += message;
        self.queue.push_back(frame);
        Ok(())
    }

    pub(crate) fn queue_text(&mut self, text: impl Into<String>) -> Result<(), Full> {
        let text = text.into();
        watch::said(self.side, &self.conn, &text);
        self.put(Frame::Text(text))
    }

    pub(crate) fn queue_packet(&mut self, header: &Header, data: &[u8]) -> Result<(), Full> {
        watch::packet(&self.conn, header);
        let message = [&header.encode()[..], data].concat();
        self.put(Frame::Binary(message.into()))
    }

    pub(crate) fn queue_ping(&mut self) {
        self.queue.push_front(Frame::Ping);
        self.queued += Frame::Ping.bytes();
        self.pings.push_back(Instant::now());
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.written
    }

    pub(crate) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Gives the kernel what it takes; whether all went.
    fn drain(&mut self) -> bool {
        while !self.queue.is_empty() {
            if !self.conn.has_room(self.side) {
                self.full_since.get_or_insert_with(Instant::now);
                return false;
            }
            if let Some(frame) = self.queue.pop_front() {
                self.full_since = None;
                self.queued -= frame.bytes();
                self.written += frame.bytes() as u64;
                self.conn.push(self.side, frame);
            }
        }
        self.full_since = None;
        true
    }

    fn slow(&mut self) -> Option<Closed> {
        let since = self.full_since?;
        (Instant::now() >= since + SEND_WITHIN).then(|| {
            let reason = "the peer takes nothing".to_owned();
            Closed::Said { code: CloseCode::Slow, reason, by_us: true }
        })
    }

    fn end(&mut self, closed: Closed) -> Closed {
        self.closed.get_or_insert(closed).clone()
    }

    pub(crate) async fn ready(&mut self, want_write: bool) -> Ready {
        loop {
            if let Some(closed) = &self.closed {
                return Ready::Closed(closed.clone());
            }
            let drained = self.drain();
            if want_write && drained && std::mem::take(&mut self.read_last) {
                return Ready::Writable;
            }
            let until = match self.conn.arrived(self.side) {
                Arrived::Frame(frame) => {
                    self.read += frame.bytes() as u64;
                    self.last_read = Instant::now();
                    if let (Side::Broker, Frame::Text(text)) = (self.side, &frame) {
                        watch::heard(&self.conn, text);
                    }
                    if let Some(ready) = self.take(frame) {
                        self.read_last = true;
                        return ready;
                    }
                    continue;
                }
                Arrived::Reset => {
                    return Ready::Closed(self.end(Closed::Lost(io::ErrorKind::ConnectionReset)));
                }
                Arrived::Wait(until) => until,
            };
            if let Some(slow) = self.slow() {
                return Ready::Closed(self.end(slow));
            }
            if want_write && drained {
                return Ready::Writable;
            }
            let slow_at = self.full_since.map(|since| since + SEND_WITHIN);
            let until = [until, slow_at].into_iter().flatten().min();
            self.conn.until_news(self.side, until).await;
        }
    }

    fn take(&mut self, frame: Frame) -> Option<Ready> {
        match frame {
            Frame::Text(text) => Some(Ready::Text(text)),
            Frame::Binary(data) => Some(Ready::Binary(data)),
            Frame::Ping => {
                self.queue.push_front(Frame::Pong);
                self.queued += Frame::Pong.bytes();
                None
            }
            Frame::Pong => {
                let sent = self.pings.pop_front()?;
                Some(Ready::Pong { rtt: Instant::now() - sent })
            }
            Frame::Close(code, reason) => {
                Some(Ready::Closed(self.end(Closed::Said { code, reason, by_us: false })))
            }
            Frame::Gone => Some(Ready::Closed(self.end(Closed::Lost(io::ErrorKind::ConnectionReset)))),
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        loop {
            if let Some(closed) = &self.closed {
                return Err(closed.clone());
            }
            if self.drain() {
                return Ok(());
            }
            if let Some(slow) = self.slow() {
                return Err(self.end(slow));
            }
            let until = self.full_since.map(|since| since + SEND_WITHIN);
            self.conn.until_news(self.side, until).await;
        }
    }

    pub(crate) async fn close(&mut self, code: CloseCode, reason: &str) -> Closed {
        if self.closed.is_none() {
            self.drain();
            self.conn.push(self.side, Frame::Close(code, reason.to_owned()));
        }
        self.end(Closed::Said { code, reason: reason.to_owned(), by_us: true })
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        if self.closed.is_none() {
            self.conn.push(self.side, Frame::Gone);
        }
    }
}
