//! Documents on their way in on one connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::jobs::upload_problem;
use crate::sessions::traffic::{Leg, OpenTransfer};

/// The round trip that windows are sized for: what is durable at once is acked at once, so a guess is enough.
const ASSUMED_RTT: Duration = Duration::from_millis(100);

/// So many entries are kept before the dead ones are removed.
const TIDY_AT: usize = 256;

/// All uploads of one connection.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    channels: Mutex<Channels<Arc<Slot>>>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Slot {
    job: JobId,
    receiver: Mutex<Receiver>,
    /// Taken out by who finishes it, or takes it over.
    upload: tokio::sync::Mutex<Option<Upload>>,
    taken_over: AtomicBool,
    counted: OpenTransfer,
}

/// The uploads of all connections, by job: an app that comes back takes its upload from its own connection before, of which
/// nobody may have noticed yet that it is dead.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    by_job: Mutex<HashMap<JobId, Weak<Slot>>>,
    leg: Arc<Leg>,
}

impl Underway {
    fn enter(&self, slot: &Arc<Slot>) {
        let mut by_job = lock(&self.by_job);
        if by_job.len() >= TIDY_AT {
            by_job.retain(|_, slot| slot.strong_count() > 0);
        }
        by_job.insert(slot.job, Arc::downgrade(slot));
    }

    /// What has come in (metrics).
    pub(crate) fn leg(&self) -> &Leg {
        &self.leg
    }

    /// Ends the upload of a job wherever it is; what is durable stays.
    pub(crate) async fn take_over(&self, job: JobId) {
        let earlier = lock(&self.by_job).remove(&job).and_then(|slot| slot.upgrade());
        if let Some(slot) = earlier {
            slot.taken_over.store(true, Ordering::Release);
            drop(slot.upload.lock().await.take());
        }
    }
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
        underway: &Underway,
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
            taken_over: AtomicBool::new(false),
            counted: OpenTransfer::on(&underway.leg),
        });
        underway.enter(&slot);
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
        slot.counted.leg().packet(data.len());
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
        // The packet that finds the writer gone and the watch over its progress both come here: the first one tells.
        if self.channels().close(transfer).is_some() {
            tracing::warn!(%transfer, %error, "upload refused");
            let problem = upload_problem(error);
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
            let Some(slot) = slot.upgrade() else { return };
            let taken_over = slot.taken_over.load(Ordering::Acquire);
            let error = match slot.upload.lock().await.as_ref() {
                _ if taken_over => UploadError::TakenOver,
                Some(upload) => upload.failure(),
                // Taken out to be finished: whoever did so hears of it.
                None => return,
            };
            uploads.refuse(transfer, &error, &out);
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
        slot.counted.leg().ack();
        (before, since) = (next_seq, Instant::now());
        out.notify(method::UPLOAD_ACK, Ack { transfer, next_seq, credit });
        if whole {
            return;
        }
    }
}
