//! The server's end of a TLS connection with no memory between records.
//!
//! ```text
//!   io ──read──▶ scratch (a thread's) ──▶ rustls ──▶ the reader's buffer ┄┄▶ plain     what the reader has no room for
//!                    └┄┄▶ incoming    a record's beginning
//!   io ◀──write── scratch ◀── rustls ◀── the writer's bytes
//!                    └┄┄▶ outgoing    what the kernel has no room for
//! ```
//!
//! TLS is rustls's; only the buffers are ours. `tokio_rustls` keeps 4 KiB for the next record of each connection, a quarter
//! of what an idle agent cost the broker. Here a thread has one buffer for all its connections, and a connection keeps
//! bytes only where one waits for more bytes, for its reader or for the kernel: `incoming`, `plain` and `outgoing` are empty,
//! and without memory, while nothing happens.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::server::ServerConnectionData;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{MAX_HANDSHAKE_BYTES, RECORD_BYTES, TLS_READ_BYTES};

/// What a record needs beside its content: header, explicit nonce, content type, tag.
const RECORD_OVERHEAD: usize = 64;

thread_local! {
    /// The thread's buffer, taken while it is in use.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The server's side of a TLS connection.
pub struct ServerStream<S> {
    io: S,
    tls: UnbufferedServerConnection,
    /// A record that is not whole yet.
    incoming: Vec<u8>,
    plain: Pending,
    outgoing: Pending,
    peer_closed: bool,
    close_queued: bool,
    /// Why nothing can be read any more.
    failed: Option<Box<rustls::Error>>,
}

impl<S> fmt::Debug for ServerStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStream").field("peer_closed", &self.peer_closed).finish_non_exhaustive()
    }
}

/// Shakes hands as the server. What the peer sent behind its handshake is kept for the reader.
pub async fn accept_tls<S>(io: S, config: Arc<ServerConfig>) -> io::Result<ServerStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tls = UnbufferedServerConnection::new(config).map_err(invalid)?;
    let mut stream = ServerStream {
        io,
        tls,
        incoming: Vec::new(),
        plain: Pending::default(),
        outgoing: Pending::default(),
        peer_closed: false,
        close_queued: false,
        failed: None,
    };
    std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerStream<S> {
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.is_handshaking() {
            ready!(self.poll_drain(cx))?;
            ready!(self.poll_more(cx, &mut ReadBuf::new(&mut [])))?;
            if self.peer_closed {
                return Poll::Ready(Err(cut_off()));
            }
        }
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Reads once from the connection and takes what that completes: into `to` first, the rest into `plain`.
    fn poll_more(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(invalid((**error).clone())));
        }
        let mut scratch = SCRATCH.take();
        let polled = self.poll_more_into(cx, to, &mut scratch);
        SCRATCH.set(scratch);
        let more = ready!(polled);
        if more.is_err() {
            // The alert that says why, if it can be had away at once: the connection ends with or without it.
            drop(self.poll_drain(cx));
        }
        Poll::Ready(more)
    }

    fn poll_more_into(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
        scratch: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        let begun = self.incoming.len();
        if begun > MAX_HANDSHAKE_BYTES {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a TLS message is larger than allowed",
            )));
        }
        grow(scratch, begun + TLS_READ_BYTES);
        let mut buffer = ReadBuf::new(&mut scratch[begun..begun + TLS_READ_BYTES]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let end = begun + buffer.filled().len();
        if end == begun {
            return Poll::Ready(Err(cut_off()));
        }
        scratch[..begun].copy_from_slice(&self.incoming);
        let processed = self.process(&mut scratch[..end], to);
        let used = processed.as_ref().map_or(end, |used| *used);
        self.incoming.clear();
        match scratch.get(used..end) {
            Some(rest) if !rest.is_empty() => self.incoming.extend_from_slice(rest),
            _ => self.incoming = Vec::new(),
        }
        Poll::Ready(processed.map(drop).map_err(|error| {
            self.failed = Some(Box::new(error.clone()));
            invalid(error)
        }))
    }

    /// Gives records to TLS; says how many of the bytes it is done with.
    fn process(&mut self, records: &mut [u8], to: &mut ReadBuf<'_>) -> Result<usize, rustls::Error> {
        let mut used = 0;
        let mut error = None;
        loop {
            // After a fault TLS is asked for the alert that it owes, and for nothing more.
            if let Some(error) = error.take_if(|_| !self.tls.wants_write()) {
                return Err(error);
            }
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut records[used..]);
            let mut is_over = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let direct = record.payload.len().min(to.remaining());
                        let direct = if self.plain.is_empty() { direct } else { 0 };
                        to.put_slice(&record.payload[..direct]);
                        self.plain.push(&record.payload[direct..]);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.outgoing.encode(0, |buffer| data.encode(buffer))?;
                }
                // It stands in `outgoing`, and goes out before anything else does.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                // No early data is offered, so none comes.
                Ok(_) => is_over = true,
                Err(reason) => error = Some(error.unwrap_or(reason)),
            }
            used += discard;
            if is_over && error.is_none() {
                return Ok(used);
            }
        }
    }

    /// Encrypts what fits in a record; says how much of it that was.
    fn encrypt(&mut self, data: &[u8]) -> io::Result<usize> {
        let data = &data[..data.len().min(RECORD_BYTES)];
        self.with_writer(data.len() + RECORD_OVERHEAD, |writer, buffer| writer.encrypt(data, buffer))?;
        Ok(data.len())
    }

    /// Lets TLS write something of about this size into `outgoing`.
    fn with_writer(
        &mut self,
        bytes: usize,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        if self.failed.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // What is begun of a record stays where it is: TLS counts in it.
        let mut begun = std::mem::take(&mut self.incoming);
        let result = loop {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut begun);
            match state {
                Ok(ConnectionState::WriteTraffic(mut writer)) => {
                    break self.outgoing.encode(bytes, |buffer| write(&mut writer, buffer)).map_err(invalid);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if let Err(error) = self.outgoing.encode(0, |buffer| data.encode(buffer)) {
                        break Err(invalid(error));
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(_) => break Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => break Err(invalid(error)),
            }
        };
        self.incoming = begun;
        result
    }

    /// Hands the kernel what is encrypted already.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let bytes = ready!(Pin::new(&mut self.io).poll_write(cx, self.outgoing.rest()))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.take(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        // Answers that TLS owes (a key update's) go out with whatever happens next. Many of them wait for a peer that reads.
        if this.poll_drain(cx)?.is_pending() && this.outgoing.rest().len() > MAX_HANDSHAKE_BYTES {
            return Poll::Pending;
        }
        loop {
            if !this.plain.is_empty() {
                let bytes = this.plain.rest().len().min(buf.remaining());
                buf.put_slice(&this.plain.rest()[..bytes]);
                this.plain.take(bytes);
            }
            if buf.filled().len() > before || buf.remaining() == 0 || this.peer_closed {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.poll_more(cx, buf)) {
                // What came whole before the fault is given first.
                Err(_) if buf.filled().len() > before || !this.plain.is_empty() => {}
                more => more?,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = this.encrypt(buf)?;
        // It is taken, whether the kernel has room now or later.
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.close_queued && this.failed.is_none() {
            this.close_queued = true;
            this.with_writer(RECORD_OVERHEAD, |writer, buffer| writer.queue_close_notify(buffer))?;
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Bytes that wait. Without memory when none do.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    taken: usize,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Lets TLS write behind what waits; asks again with the room it says it needs.
    fn encode<E>(
        &mut self,
        room: usize,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), rustls::Error>
    where
        Refused: From<E>,
    {
        let begin = self.bytes.len();
        let mut room = room;
        loop {
            self.bytes.resize(begin + room, 0);
            match write(&mut self.bytes[begin..]).map_err(Refused::from) {
                Ok(written) => {
                    self.bytes.truncate(begin + written);
                    return Ok(());
                }
                Err(Refused::Needs(bytes)) if bytes > room => room = bytes,
                Err(refused) => {
                    self.bytes.truncate(begin);
                    return Err(rustls::Error::General(refused.to_string()));
                }
            }
        }
    }
}

/// Why TLS wrote nothing.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("TLS needs {0} bytes to write")]
    Needs(usize),
    #[error("{0}")]
    Encoding(EncodeError),
    #[error("{0}")]
    Encryption(EncryptError),
}

impl From<EncodeError> for Refused {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Needs(required_size)
            }
            EncodeError::AlreadyEncoded => Self::Encoding(error),
        }
    }
}

impl From<EncryptError> for Refused {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Needs(required_size)
            }
            EncryptError::EncryptExhausted => Self::Encryption(error),
        }
    }
}

/// Makes a buffer at least this large.
fn grow(buffer: &mut Vec<u8>, bytes: usize) {
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the peer closed the connection without saying so (no TLS close_notify)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_wait_keep_no_memory_when_they_are_gone() {
        let mut pending = Pending::default();
        pending.push(b"abc");
        pending.push(b"def");
        pending.take(4);
        assert_eq!(pending.rest(), b"ef");
        pending.take(2);
        assert!(pending.is_empty());
        assert_eq!(pending.bytes.capacity(), 0);
    }

    #[test]
    fn a_writer_gets_the_room_it_asks_for_once() {
        let mut pending = Pending::default();
        pending.push(b"ab");
        let mut asked = Vec::new();
        let written = pending.encode(1, |buffer| {
            asked.push(buffer.len());
            match buffer.len() {
                5 => {
                    buffer[..3].copy_from_slice(b"cde");
                    Ok(3)
                }
                _ => Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size: 5 })),
            }
        });
        written.unwrap();
        assert_eq!((pending.rest(), asked), (&b"abcde"[..], vec![1, 5]));
        // One that asks for what it had is not asked for ever.
        let refused = pending.encode(5, |_| {
            Err::<usize, _>(EncodeError::InsufficientSize(InsufficientSizeError { required_size: 5 }))
        });
        assert!(refused.is_err());
        assert_eq!(pending.rest(), b"abcde");
    }
}
