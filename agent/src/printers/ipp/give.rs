//! The document on its way into a request: streamed with back-pressure, while the job is looked at on another connection.

use std::pin::pin;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::body::RequestBody;
use super::client::AskError;
use super::codec::Answer;
use super::request::Request;
use super::watch::{Teller, Watched};
use crate::printers::backend::{Document, DocumentError};
use crate::printers::limits::{CHUNK_BYTES, IPP_DOCUMENT_ANSWER_WITHIN, POLL_PRINTER};

/// How the giving of a document ended.
pub(super) enum Given {
    Answered(Answer),
    Document(DocumentError),
    Canceled,
    Failed(AskError),
    /// The printer ended the job while it was still being given.
    Ended,
}

impl Watched<'_> {
    /// Streams the document with back-pressure, while the job is looked at on another connection.
    pub(super) async fn give(
        &self,
        request: Result<Request, AskError>,
        id: Option<i32>,
        first: Bytes,
        document: &mut dyn Document,
        cancel: &CancellationToken,
    ) -> (Given, u64) {
        let opened = match request.and_then(|request| Ok(request.encode()?)) {
            Ok(head) => self.client.open().await.map(|open| (head, open)),
            Err(error) => Err(error),
        };
        let (head, open) = match opened {
            Ok(opened) => opened,
            Err(error) => return (Given::Failed(error), 0),
        };
        let (chunks, body) = RequestBody::with_document(head, self.task.bytes);
        let mut bytes = 0;
        let given = {
            let mut answer = pin!(open.send(body));
            let mut fed = pin!(self.feed(first, document, chunks, &mut bytes));
            let mut ended = pin!(self.ended_meanwhile(id));
            let failed = tokio::select! {
                answer = &mut answer => Some(answered(answer)),
                fed = &mut fed => fed.map(Given::Document),
                () = &mut ended => Some(Given::Ended),
                () = cancel.cancelled() => Some(Given::Canceled),
            };
            match failed {
                Some(given) => given,
                // All is given; now the answer, for which slow printers take their time.
                None => tokio::select! {
                    answer = timeout(IPP_DOCUMENT_ANSWER_WITHIN, &mut answer) => match answer {
                        Ok(answer) => answered(answer),
                        Err(_) => Given::Failed(AskError::Timeout(IPP_DOCUMENT_ANSWER_WITHIN)),
                    },
                    () = &mut ended => Given::Ended,
                },
            }
        };
        (given, bytes)
    }

    /// Feeds the body; returns when all is in it, with the error where the document failed.
    async fn feed(
        &self,
        first: Bytes,
        document: &mut dyn Document,
        chunks: mpsc::Sender<Bytes>,
        bytes: &mut u64,
    ) -> Option<DocumentError> {
        let mut chunk = first;
        while !chunk.is_empty() {
            let count = chunk.len() as u64;
            if chunks.send(chunk).await.is_err() {
                // The connection is gone; the answer says why.
                return std::future::pending().await;
            }
            *bytes += count;
            self.journal.delivered(*bytes);
            chunk = match document.read(CHUNK_BYTES).await {
                Ok(next) => next,
                Err(error) => return Some(error),
            };
        }
        None
    }

    /// Looks at the job while it is being given: a printer out of paper blocks for hours, one that has aborted the job
    /// may go on reading. A printer that answers one connection at a time is not disturbed by more than a failed try.
    async fn ended_meanwhile(&self, id: Option<i32>) {
        let Some(id) = id else { return std::future::pending().await };
        let mut teller = Teller::new(self.journal);
        loop {
            sleep(POLL_PRINTER).await;
            match self.client.job(id).await {
                Ok(Some(view)) if view.is_terminal() => return,
                Ok(Some(view)) => teller.look(self.client, &view).await,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, id, "the job cannot be looked at while it is given"),
            }
        }
    }
}

fn answered(answer: Result<Answer, AskError>) -> Given {
    match answer {
        Ok(answer) => Given::Answered(answer),
        Err(error) => Given::Failed(error),
    }
}
