//! From the document store to the socket: the next packet is read only when there is credit and the socket takes it.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use inkwire_protocol::message::ToAgent;
use inkwire_protocol::packet::Header;
use tokio::io::{AsyncRead, AsyncWrite};

use super::actor::Actor;
use super::ending::Ending;
use super::link::What;
use super::outbound::Due;
use crate::documents::SourceError;
use crate::limits::SOURCE_SLOW_AFTER;

/// A packet that is being read.
pub(super) struct Reading {
    due: Due,
    since: Instant,
    data: Pin<Box<dyn Future<Output = Result<Bytes, SourceError>> + Send>>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("due", &self.due).finish_non_exhaustive()
    }
}

/// A packet that was read, or could not be.
#[derive(Debug)]
pub(super) struct Read {
    due: Due,
    data: Result<Bytes, SourceError>,
}

impl Reading {
    fn begin(due: Due, now: Instant) -> Self {
        let (source, slice) = (due.source.clone(), due.slice);
        let data = Box::pin(async move { source.read(slice.offset, slice.len).await });
        Self { due, since: now, data }
    }

    /// When the agent is to be told that the source is slow.
    pub(super) fn slow_at(&self) -> Instant {
        self.since + SOURCE_SLOW_AFTER
    }

    /// Waits for what is being read; for ever where nothing is. Cancel safe.
    pub(super) async fn wait(reading: &mut Option<Box<Self>>) -> Read {
        let Some(current) = reading.as_mut() else { return std::future::pending().await };
        let data = current.data.as_mut().await;
        let due = current.due.clone();
        *reading = None;
        Read { due, data }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Actor<S> {
    /// The socket takes more: reads the packet whose turn it is, and sends it at once where the document store has it at
    /// hand.
    pub(super) async fn send_due(&mut self) -> Result<(), Ending> {
        let Some(due) = self.outbound.due() else { return Ok(()) };
        let mut reading = Reading::begin(due, Instant::now());
        match reading.data.as_mut().now_or_never() {
            Some(data) => self.on_read(Read { due: reading.due, data }).await,
            None => {
                self.reading = Some(Box::new(reading));
                Ok(())
            }
        }
    }

    pub(super) async fn on_read(&mut self, read: Read) -> Result<(), Ending> {
        let Due { transfer, printer, slice, .. } = read.due;
        if !self.outbound.is_open(transfer) {
            return Ok(());
        }
        match read.data {
            Ok(data) => {
                let header = Header::over(transfer, printer, slice.seq, slice.last, &data);
                self.socket.queue_packet(&header, &data)?;
                self.outbound.sent(transfer);
                self.sessions.counters.delivery.packet(data.len());
                tracing::trace!(transfer = transfer.0, printer = printer.0, seq = slice.seq, "packet sent");
                self.ask_for_permits().await
            }
            Err(error) => {
                let Some((job, attempt)) = self.outbound.source_failed(transfer) else { return Ok(()) };
                tracing::error!(%job, %error, "a document cannot be delivered");
                let error = error.to_string();
                self.say(&ToAgent::Drop { job, attempt, reason: error.clone() })?;
                self.tell(What::SourceFailed { job, attempt, error }).await
            }
        }
    }

    /// The last packets of an attempt are near: the jobs must commit that it may be printed.
    pub(super) async fn ask_for_permits(&mut self) -> Result<(), Ending> {
        for (job, attempt) in self.outbound.permits_wanted() {
            self.tell(What::PermitWanted { job, attempt }).await?;
        }
        Ok(())
    }

    /// An agent with credit must know why nothing comes.
    pub(super) fn watch_source(&mut self, now: Instant) -> Result<(), Ending> {
        let slow = self.reading.as_mut().filter(|reading| now >= reading.slow_at());
        let Some(transfer) = slow.map(|reading| {
            // Looked at again later, so that the clock is not asked for every instant.
            reading.since = now;
            reading.due.transfer
        }) else {
            return Ok(());
        };
        match self.outbound.source_slow(transfer) {
            Some(reason) => self.say(&ToAgent::Blocked { transfer, reason }),
            None => Ok(()),
        }
    }
}
