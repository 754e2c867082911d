//! The body of a request: the IPP part, then the document as it comes, with the length said in advance.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// The document broke off: the request must not look whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the document broke off")]
pub(super) struct BrokenOff;

/// An IPP request with or without a document.
#[derive(Debug)]
pub(super) struct RequestBody {
    head: Option<Bytes>,
    chunks: Option<mpsc::Receiver<Bytes>>,
    left: u64,
}

impl RequestBody {
    /// No document.
    pub(super) fn bare(head: Bytes) -> Self {
        Self { left: head.len() as u64, head: Some(head), chunks: None }
    }

    /// With a document of `bytes` bytes. It is whole when so many have come; the channel's end before that breaks the
    /// connection.
    pub(super) fn with_document(head: Bytes, bytes: u64) -> (mpsc::Sender<Bytes>, Self) {
        // One chunk waits: the printer's pace is the document's pace.
        let (sender, chunks) = mpsc::channel(1);
        (sender, Self { left: head.len() as u64 + bytes, head: Some(head), chunks: Some(chunks) })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        let chunk = match (this.head.take(), this.chunks.as_mut()) {
            (Some(head), _) => Some(head),
            (None, _) if this.left == 0 => return Poll::Ready(None),
            (None, Some(chunks)) => std::task::ready!(chunks.poll_recv(context)),
            (None, None) => None,
        };
        let left = chunk.as_ref().and_then(|chunk| this.left.checked_sub(chunk.len() as u64));
        Poll::Ready(Some(match (chunk, left) {
            (Some(chunk), Some(left)) => {
                this.left = left;
                Ok(Frame::data(chunk))
            }
            _ => Err(BrokenOff),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
