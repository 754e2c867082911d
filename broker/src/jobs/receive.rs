//! A submission whose document comes in one piece: everything that can be checked before it comes, and the job when it has come.

use inkwire_protocol::app::{JobCreate, Problem, ProblemKind};
use inkwire_protocol::ids::{DocumentId, Sha256Digest};
use uuid::Uuid;

use super::handle::{Created, Jobs};
use super::making::{self, Making, Submitter};
use super::problems::upload_problem;
use super::submission::{self, Document};
use crate::clock::now_ms;
use crate::documents::{Came, Intake};
use crate::store::PrinterRow;

/// A document that may come.
#[derive(Debug)]
pub(crate) struct Expected {
    by: Submitter,
    request: JobCreate,
    printer: PrinterRow,
    intake: Intake,
    max_bytes: u64,
}

impl Jobs {
    /// Checks a request before its document comes; `bytes` is its size where that is known. The request's own content does not count.
    pub(crate) async fn expect(
        &self,
        by: Submitter,
        request: JobCreate,
        bytes: Option<u64>,
    ) -> Result<Expected, Problem> {
        let account = by.account;
        submission::check_fields(&request)?;
        let max_bytes = self.max_document_bytes;
        if let Some(bytes) = bytes.filter(|bytes| *bytes > max_bytes) {
            return Err(submission::too_large(bytes, max_bytes));
        }
        let printer = self.printer(account, &request.printer).await?;
        making::check(&request, &printer)?;
        self.admit(bytes.unwrap_or(0))?;
        let intake = self.documents.intake(account, DocumentId::from_uuid(Uuid::now_v7()));
        Ok(Expected { by, request, printer, intake, max_bytes })
    }

    /// The document has come as a whole: the job is made in one commit. `stated` is its digest where the sender said one.
    pub(crate) async fn receive(
        &self,
        expected: Expected,
        stated: Option<Sha256Digest>,
    ) -> Result<Created, Problem> {
        let Expected { by, request, printer, intake, .. } = expected;
        let came = intake.finish().await.map_err(|error| upload_problem(&error))?;
        let made = self.made_of(&by, request, &printer, &came, stated).await;
        if !made.as_ref().is_ok_and(Created::is_new) {
            Intake::discard(&self.documents, by.account, &came).await;
        }
        made
    }

    async fn made_of(
        &self,
        by: &Submitter,
        request: JobCreate,
        printer: &PrinterRow,
        came: &Came,
        stated: Option<Sha256Digest>,
    ) -> Result<Created, Problem> {
        let (document, actual) = match came {
            Came::Small(bytes) => (Document::Inline(bytes.clone()), Sha256Digest::of(bytes)),
            Came::Stored(id, whole) => {
                let (bytes, sha256) = (whole.bytes, whole.sha256);
                (Document::Stored { id: *id, bytes, sha256 }, sha256)
            }
        };
        if let Some(stated) = stated.filter(|stated| *stated != actual) {
            let detail = format!("the document's SHA-256 is {actual}, announced was {stated}");
            return Err(ProblemKind::DigestMismatch.because(detail));
        }
        let making = Making { by, document: &document, printer, reprint_of: None, now: now_ms() };
        self.make(making, request).await
    }
}

impl Expected {
    /// Takes the next bytes of the document.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), Problem> {
        let bytes = self.intake.bytes().saturating_add(data.len() as u64);
        if bytes > self.max_bytes {
            return Err(submission::too_large(bytes, self.max_bytes));
        }
        self.intake.write(data).await.map_err(|error| upload_problem(&error))
    }
}
