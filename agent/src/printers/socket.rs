//! Raw TCP, usually port 9100: bytes one way, and the close as the only evidence.
//!
//! A FIN after ours means that the device read everything (`handed_over`); none within ten seconds means that every
//! byte was written (`sent`); a reset after the first byte means that nobody knows.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use inkwire_protocol::message::Witness;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Document, Journal, Outcome, Recovery, Task};
use super::config::Common;
use super::limits::{
    CHUNK_BYTES, CLOSE_WITHIN, CONNECT_WITHIN, RETRY_AWAY, SOCKET_HOLD_OPEN, SOCKET_SEND_BYTES,
};
use super::outcome::{canceled_at, document_failed, nobody_knows, not_started, uncertain, without_intent};
use super::pump::{Pumped, pump};

/// A raw TCP device.
pub(super) struct Socket {
    common: Common,
    host: String,
    port: u16,
    /// Why the last connection failed. The device is never dialled only to look: many take one connection at a time.
    away: Mutex<Option<String>>,
}

impl Socket {
    pub(super) fn new(common: Common, host: String, port: u16) -> Self {
        Self { common, host, port, away: Mutex::new(None) }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let dialled = timeout(CONNECT_WITHIN, TcpStream::connect((self.host.as_str(), self.port))).await;
        let result = match dialled {
            Ok(Ok(stream)) => prepare(&stream).map(|()| stream).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {} s", CONNECT_WITHIN.as_secs())),
        };
        let result = result.map_err(|error| format!("{}:{}: {error}", self.host, self.port));
        *self.away.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = result.as_ref().err().cloned();
        result
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_send_buffer_size(SOCKET_SEND_BYTES)?;
    // A device that was switched off while it held a document is noticed; no TCP_USER_TIMEOUT, which would also end
    // the connection to one that waits for paper.
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(20))
            .with_interval(Duration::from_secs(10)),
    )?;
    stream.set_nodelay(true)
}

/// What the device says is read and thrown away; only its close counts.
struct Listener {
    half: OwnedReadHalf,
    closed: bool,
}

impl Listener {
    /// Reads until the device closes.
    async fn until_closed(&mut self) -> io::Result<()> {
        let mut buffer = [0; 512];
        while !self.closed {
            self.closed = self.half.read(&mut buffer).await? == 0;
        }
        Ok(())
    }

    /// Resolves only when the connection breaks. A mere close of the device's side is remembered.
    async fn broken(&mut self) -> io::Error {
        match self.until_closed().await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    }
}

#[async_trait::async_trait]
impl Backend for Socket {
    async fn describe(&self) -> PrinterInfo {
        let mut info = self.common.info(Kind::Socket, true);
        let away = self.away.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(why) = away {
            info.state = PrinterState::Unreachable;
            info.state_reasons = vec!["connecting-to-device".into()];
            info.state_message = Some(why);
        }
        info
    }

    fn hold_open(&self) -> Option<Duration> {
        Some(SOCKET_HOLD_OPEN)
    }

    async fn print(
        &self,
        task: &Task,
        document: &mut dyn Document,
        journal: &dyn Journal,
        cancel: &CancellationToken,
    ) -> Outcome {
        // The first bytes are at hand before the device is bothered.
        let first = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            first = document.read(CHUNK_BYTES) => match first {
                Ok(first) => first,
                Err(error) => return document_failed(&error, 0),
            },
        };
        let stream = tokio::select! {
            () = cancel.cancelled() => return Outcome::Canceled,
            stream = self.connect() => match stream {
                Ok(stream) => stream,
                Err(why) => return not_started("connecting-to-device", why, RETRY_AWAY),
            },
        };
        let note = serde_json::json!({ "host": self.host, "port": self.port, "copy": task.copy });
        if let Err(error) = journal.intent(note).await {
            return without_intent(&error);
        }
        let (half, mut writer) = stream.into_split();
        let mut listener = Listener { half, closed: false };
        let pumped = pump(first, document, &mut writer, listener.broken(), journal, cancel).await;
        let bytes = match pumped {
            Pumped::All { bytes } => bytes,
            Pumped::Document { error, bytes } => return document_failed(&error, bytes),
            Pumped::Canceled { bytes } => return canceled_at(bytes),
            Pumped::Device { error, bytes } | Pumped::Watched { what: error, bytes } => {
                return lost(&error, bytes);
            }
        };
        let early = listener.closed;
        if let Err(error) = writer.shutdown().await {
            return lost(&error, bytes);
        }
        match timeout(CLOSE_WITHIN, listener.until_closed()).await {
            Ok(Ok(())) if !early => Outcome::Completed { witness: Witness::HandedOver, detail: None },
            // It closed before us: that says nothing about the bytes which it had not yet read.
            Ok(Ok(())) => sent("the device closed its side before it had everything"),
            Ok(Err(error)) => lost(&error, bytes),
            Err(_) => sent("the device did not close"),
        }
    }

    async fn recover(&self, task: &Task, _note: &serde_json::Value) -> Recovery {
        Recovery::Decided(nobody_knows(task.bytes))
    }

    async fn watch(
        &self,
        task: &Task,
        _note: &serde_json::Value,
        _journal: &dyn Journal,
        _cancel: &CancellationToken,
    ) -> Outcome {
        nobody_knows(task.bytes)
    }
}

fn sent(detail: &str) -> Outcome {
    Outcome::Completed { witness: Witness::Sent, detail: Some(detail.to_owned()) }
}

/// The connection broke. Without a byte given nothing can have been printed.
fn lost(error: &io::Error, bytes: u64) -> Outcome {
    match bytes {
        0 => not_started("connecting-to-device", format!("the connection broke: {error}"), RETRY_AWAY),
        _ => {
            uncertain("connection-lost", format!("the connection broke after {bytes} bytes: {error}"), bytes)
        }
    }
}
