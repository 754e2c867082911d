//! Uploads that are open on this connection: each has the protocol's [`Sender`] and a queue of packets read ahead.

use std::task::{Context, Poll};

use bytes::Bytes;
use inkwire_protocol::app::{Problem, UploadRefused};
use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::message::Ack;
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::{AckEffect, Plan, Sender, Slice, Violation};
use tokio::sync::{mpsc, watch};

/// One upload, as the submitter hands it over.
#[derive(Debug)]
pub(crate) struct UploadChannel {
    /// The connection that the channel number is good on.
    pub(crate) connection: u64,
    pub(crate) transfer: TransferId,
    pub(crate) sender: Sender,
    /// The packets from the sender's first on, in order.
    pub(crate) packets: mpsc::Receiver<Bytes>,
    pub(crate) state: watch::Sender<UploadState>,
}

/// Where an upload stands on its connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum UploadState {
    /// Every packet below is durable at the broker.
    Acked(u32),
    /// All are.
    Complete,
    /// The connection is gone.
    Lost,
    /// The broker takes no more.
    Refused(Problem),
}

/// All uploads of one connection.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    open: Vec<UploadChannel>,
    /// A packet that waits for the socket.
    staged: Option<(TransferId, Slice, Bytes)>,
    /// Whose turn it is.
    turn: usize,
}

impl Uploads {
    pub(crate) fn add(&mut self, channel: UploadChannel) {
        self.open.push(channel);
    }

    /// Whether packets were sent that the broker has not acked.
    pub(crate) fn in_flight(&self) -> bool {
        self.open.iter().any(|upload| upload.sender.in_flight() > 0)
    }

    /// Whether a packet waits for the socket.
    pub(crate) fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// Ready when a packet is staged: the next of whichever upload has credit and data, in turn.
    pub(crate) fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.staged.is_some() {
            return Poll::Ready(());
        }
        let count = self.open.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let Some(upload) = self.open.get_mut(at) else { continue };
            let Plan::Packet(slice) = upload.sender.next() else { continue };
            match upload.packets.poll_recv(cx) {
                Poll::Ready(Some(data)) => {
                    self.staged = Some((upload.transfer, slice, data));
                    self.turn = at + 1;
                    return Poll::Ready(());
                }
                // The submitter gave up: the channel goes, the broker forgets the document after a while.
                Poll::Ready(None) => {
                    self.open.remove(at);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// The staged packet, on its way to the socket's queue.
    pub(crate) fn take_staged(&mut self) -> Option<(Header, Bytes)> {
        let (transfer, slice, data) = self.staged.take()?;
        let upload = self.open.iter_mut().find(|upload| upload.transfer == transfer)?;
        upload.sender.on_sent();
        Some((Header::over(transfer, PrinterNumber(0), slice.seq, slice.last, &data), data))
    }

    /// The broker has more on stable storage.
    pub(crate) fn on_ack(&mut self, ack: Ack) -> Result<(), Violation> {
        let Some(at) = self.open.iter().position(|upload| upload.transfer == ack.transfer) else {
            return Ok(());
        };
        let Some(upload) = self.open.get_mut(at) else { return Ok(()) };
        match upload.sender.on_ack(ack.next_seq, ack.credit)? {
            AckEffect::Moved => {
                upload.state.send_replace(UploadState::Acked(upload.sender.acked()));
            }
            AckEffect::Complete => {
                upload.state.send_replace(UploadState::Acked(upload.sender.acked()));
                upload.state.send_replace(UploadState::Complete);
                self.open.remove(at);
            }
            AckEffect::Stale => {}
        }
        Ok(())
    }

    /// The broker takes no more of one.
    pub(crate) fn on_refused(&mut self, refused: UploadRefused) {
        if self.staged.as_ref().is_some_and(|(transfer, ..)| *transfer == refused.transfer) {
            self.staged = None;
        }
        if let Some(at) = self.open.iter().position(|upload| upload.transfer == refused.transfer) {
            self.open.remove(at).state.send_replace(UploadState::Refused(refused.problem));
        }
    }

    /// The connection is gone.
    pub(crate) fn on_lost(&mut self) {
        self.staged = None;
        for upload in self.open.drain(..) {
            upload.state.send_replace(UploadState::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::transfer::Layout;

    async fn stage(uploads: &mut Uploads) {
        std::future::poll_fn(|cx| uploads.poll_stage(cx)).await;
    }

    fn channel(transfer: u32, packets: u32) -> (UploadChannel, watch::Receiver<UploadState>) {
        let layout = Layout::new(u64::from(packets) * 1024, 1024).unwrap();
        let (data, from_here) = mpsc::channel(64);
        for _ in 0..packets {
            data.try_send(Bytes::from(vec![transfer as u8; 1024])).unwrap();
        }
        let (state, states) = watch::channel(UploadState::Acked(0));
        let sender = Sender::new(layout, 0, true);
        let transfer = TransferId(transfer);
        (UploadChannel { connection: 1, transfer, sender, packets: from_here, state }, states)
    }

    #[tokio::test]
    async fn uploads_take_turns_and_end_with_the_last_ack() {
        let mut uploads = Uploads::default();
        let (one, one_state) = channel(1, 2);
        let (two, two_state) = channel(2, 2);
        uploads.add(one);
        uploads.add(two);
        let mut order = Vec::new();
        for _ in 0..4 {
            stage(&mut uploads).await;
            let (header, data) = uploads.take_staged().unwrap();
            assert_eq!(data.len(), 1024);
            order.push((header.transfer.0, header.seq, header.last));
        }
        assert_eq!(order, [(1, 0, false), (2, 0, false), (1, 1, true), (2, 1, true)]);
        assert!(uploads.in_flight());
        uploads.on_ack(Ack { transfer: TransferId(1), next_seq: 2, credit: 0 }).unwrap();
        assert_eq!(*one_state.borrow(), UploadState::Complete);
        assert!(uploads.on_ack(Ack { transfer: TransferId(2), next_seq: 3, credit: 0 }).is_err());
        uploads.on_lost();
        assert_eq!(*two_state.borrow(), UploadState::Lost);
        assert!(!uploads.in_flight());
    }

    #[tokio::test]
    async fn an_upload_without_credit_does_not_hold_up_another() {
        let mut uploads = Uploads::default();
        let (mut one, _one_state) = channel(1, 3);
        let layout = Layout::new(200 * 1024, 1024).unwrap();
        one.sender = Sender::new(layout, 0, true);
        while one.sender.has_credit() {
            one.sender.on_sent();
        }
        uploads.add(one);
        let (two, _two_state) = channel(2, 1);
        uploads.add(two);
        stage(&mut uploads).await;
        assert_eq!(uploads.take_staged().unwrap().0.transfer, TransferId(2));
    }
}
