//! Documents on their way in on one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use inkwire_protocol::app::{self, Problem, ProblemKind, UploadRefused, method};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{JobId, PrinterNumber, TransferId};
use inkwire_protocol::limits::MAX_OPEN_TRANSFERS;
use inkwire_protocol::message::Ack;
use inkwire_protocol::packet::{Header, PacketError};
use inkwire_protocol::transfer::{Channels, PacketVerdict, Receiver, Violation, Window, fair_share};

use super::outgoing::Outgoing;
use crate::documents::{Upload, UploadError};

/// The round trip that windows are sized for: what is durable at once is acked at once, so a guess is enough.
const ASSUMED_RTT: Duration = Duration::from_millis(100);

/// All uploads of one connection.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    channels: Mutex<Channels<Arc<Slot>>>,
}

/// One upload.
#[derive(Debug)]
struct Slot {
    job: JobId,
    receiver: Mutex<Receiver>,
    /// Taken out by who finishes it.
    upload: tokio::sync::Mutex<Option<Upload>>,
}

/// A packet that costs the app its connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum PacketFault {
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error(transparent)]
    Violation(#[from] Violation),
}

impl PacketFault {
    pub(super) const fn close_code(&self) -> CloseCode {
        match self {
            Self::Packet(error) => error.close_code(),
            Self::Violation(violation) => violation.close_code(),
        }
    }
}

impl Uploads {
    /// Whether one more may begin.
    pub(crate) fn room(&self) -> Result<(), Problem> {
        if self.channels().len() < MAX_OPEN_TRANSFERS {
            return Ok(());
        }
        let detail = format!("{MAX_OPEN_TRANSFERS} uploads are open on this connection: finish one first");
        Err(ProblemKind::Busy.because(detail))
    }

    /// Takes up an upload: what the app must know of it. An earlier one of the same job ends.
    pub(super) fn begin(
        self: &Arc<Self>,
        job: JobId,
        upload: Upload,
        out: Arc<Outgoing>,
    ) -> Result<app::Upload, Problem> {
        let (layout, next_seq, durable) = (upload.layout, upload.next_seq, upload.durable.clone());
        let receiver = Receiver::new(layout, next_seq);
        let credit = layout.packets_in(inkwire_protocol::limits::INITIAL_CREDIT_BYTES);
        let credit = credit.min(layout.packets().saturating_sub(next_seq));
        let slot = Arc::new(Slot {
            job,
            receiver: Mutex::new(receiver),
            upload: tokio::sync::Mutex::new(Some(upload)),
        });
        let weak = Arc::downgrade(&slot);
        let transfer = {
            let mut channels = self.channels();
            let earlier = channels.iter().find(|(_, slot)| slot.job == job).map(|(transfer, _)| transfer);
            if let Some(earlier) = earlier {
                channels.close(earlier);
            }
            let used_up = || ProblemKind::Busy.because("the connection has no channel left: open another");
            let transfer = channels.next_id().ok_or_else(used_up)?;
            channels.open(transfer, slot).map_err(|error| ProblemKind::Busy.because(error.to_string()))?;
            transfer
        };
        tokio::spawn(acknowledge(self.clone(), weak, transfer, durable, out));
        Ok(app::Upload { transfer, packet_bytes: layout.packet_bytes(), next_seq, credit })
    }

    /// Takes a packet. Waits while the disk is behind; what the disk refuses ends the upload and not the connection.
    pub(super) async fn packet(&self, message: &[u8], out: &Outgoing) -> Result<(), PacketFault> {
        let (header, data) = Header::decode(message)?;
        let Some(slot) = self.channels().find(header.transfer)?.map(|slot| slot.clone()) else {
            return Ok(());
        };
        if header.printer != PrinterNumber(0) {
            return Err(Violation::WrongPrinter { seq: header.seq }.into());
        }
        let PacketVerdict::Write { .. } = lock(&slot.receiver).on_packet(&header, data.len())?;
        let upload = slot.upload.lock().await;
        let Some(upload) = upload.as_ref() else { return Ok(()) };
        if let Err(error) = upload.write(header.seq, header.crc32c, Bytes::copy_from_slice(data)).await {
            self.refuse(header.transfer, &error, out);
        }
        Ok(())
    }

    /// Takes an upload out, to be finished.
    pub(crate) async fn take(&self, transfer: TransferId) -> Option<(JobId, Upload)> {
        let slot = self.channels().close(transfer)?;
        let upload = slot.upload.lock().await.take()?;
        Some((slot.job, upload))
    }

    fn refuse(&self, transfer: TransferId, error: &UploadError, out: &Outgoing) {
        let kind = match error {
            UploadError::Full(_) => ProblemKind::StorageFull,
            UploadError::Digest { .. } => ProblemKind::DigestMismatch,
            UploadError::Incomplete { .. } => ProblemKind::Conflict,
            UploadError::TakenOver => ProblemKind::Conflict,
            UploadError::Disk(_) => ProblemKind::Internal,
        };
        tracing::warn!(%transfer, %error, "upload refused");
        if self.channels().close(transfer).is_some() {
            let problem = kind.because(error.to_string());
            out.notify(method::UPLOAD_REFUSED, UploadRefused { transfer, problem });
        }
    }

    fn open(&self) -> usize {
        self.channels().len()
    }

    fn channels(&self) -> MutexGuard<'_, Channels<Arc<Slot>>> {
        lock(&self.channels)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Acks what has become durable, and grants the next window, for as long as the upload is open.
async fn acknowledge(
    uploads: Arc<Uploads>,
    slot: Weak<Slot>,
    transfer: TransferId,
    mut durable: tokio::sync::watch::Receiver<u32>,
    out: Arc<Outgoing>,
) {
    let mut window = Window::default();
    let (mut before, mut since) = (*durable.borrow(), Instant::now());
    loop {
        if durable.changed().await.is_err() {
            if slot.upgrade().is_some() {
                uploads.refuse(transfer, &UploadError::Disk("the file has failed".into()), &out);
            }
            return;
        }
        let Some(slot) = slot.upgrade() else { return };
        let next_seq = *durable.borrow_and_update();
        let mut receiver = lock(&slot.receiver);
        let layout = receiver.layout();
        let bytes = layout.bytes_below(next_seq).saturating_sub(layout.bytes_below(before));
        window.on_synced(bytes, since.elapsed(), ASSUMED_RTT, Duration::ZERO);
        let credit = receiver.on_synced(next_seq, window.packets(layout, fair_share(uploads.open())));
        let whole = receiver.is_durable();
        drop(receiver);
        (before, since) = (next_seq, Instant::now());
        out.notify(method::UPLOAD_ACK, Ack { transfer, next_seq, credit });
        if whole {
            return;
        }
    }
}
