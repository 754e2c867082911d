//! What was submitted, once more: given back, or printed again by a new job.

use std::sync::Arc;

use inkwire_protocol::app::{Content, Job, JobCreate, JobReprint, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, DocumentId, JobId, Sha256Digest};
use inkwire_protocol::job::State;
use uuid::Uuid;

use super::handle::{Created, Jobs};
use super::making::{Making, Submitter};
use super::problems::{internal, upload_problem};
use super::submission::{self, Document};
use super::test_page::{self, Facts};
use crate::clock::now_ms;
use crate::documents::Source;
use crate::store::{DocumentContent, JobRow, PrinterRow};

/// A document that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) source: Arc<Source>,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256Digest,
    pub(crate) format: String,
    pub(crate) title: String,
    /// The job's number.
    pub(crate) number: u64,
}

impl Jobs {
    /// What was submitted with a job.
    pub(crate) async fn document(&self, account: AccountId, job: JobId) -> Result<Kept, Problem> {
        let row = self.row(account, job).await?;
        let (content, sha256) = self.kept(&row).await?;
        let source = self.documents.source(account, row.document, content, row.job.bytes, sha256);
        let JobRow { job, .. } = row;
        Ok(Kept {
            source: source.ok_or_else(|| gone(&job))?,
            bytes: job.bytes,
            sha256,
            format: job.format,
            title: job.title,
            number: job.number,
        })
    }

    async fn kept(&self, row: &JobRow) -> Result<(DocumentContent, Sha256Digest), Problem> {
        let job = &row.job;
        let Some(sha256) = job.sha256.filter(|_| job.state != State::Incoming) else {
            let mut problem = ProblemKind::Conflict
                .because(format!("the document of job {} has not come as a whole", job.number));
            problem.state = Some(job.state);
            return Err(problem);
        };
        let found = self.store.document(row.account, row.document).await.map_err(|error| internal(&error))?;
        match found {
            None | Some(DocumentContent::Absent) => Err(gone(job)),
            Some(content) => Ok((content, sha256)),
        }
    }

    /// Prints the document of an earlier job again. The new job has a document of its own (a small one is copied, a file gets another
    /// name), so that retention takes each when its own time has come.
    pub(crate) async fn reprint(
        &self,
        by: impl Into<Submitter>,
        request: JobReprint,
    ) -> Result<Created, Problem> {
        let by = by.into();
        let account = by.account;
        let row = self.row(account, request.job).await?;
        let (content, sha256) = self.kept(&row).await?;
        let printer = match &request.printer {
            Some(wanted) => self.printer(account, wanted).await?,
            None => self.printer(account, &row.job.printer.to_string()).await?,
        };
        let document = match content {
            DocumentContent::Inline(bytes) => Document::Inline(bytes),
            DocumentContent::File | DocumentContent::Absent => {
                let id = DocumentId::from_uuid(Uuid::now_v7());
                let linked = self.documents.link(account, row.document, id).await;
                if !linked.map_err(|error| upload_problem(&error))? {
                    return Err(gone(&row.job));
                }
                Document::Stored { id, bytes: row.job.bytes, sha256 }
            }
        };
        let made = self.reprint_as(&by, &row.job, request, &printer, &document).await;
        if let (Document::Stored { id, .. }, true) = (&document, !made.as_ref().is_ok_and(Created::is_new)) {
            self.documents.remove(vec![(account, *id)]).await;
        }
        made
    }

    async fn reprint_as(
        &self,
        by: &Submitter,
        job: &Job,
        request: JobReprint,
        printer: &PrinterRow,
        document: &Document,
    ) -> Result<Created, Problem> {
        let again = JobCreate {
            printer: printer.id.to_string(),
            content: Content::Inline(String::new()),
            format: job.format.clone(),
            title: job.title.clone(),
            idempotency_key: request.idempotency_key,
            options: job.options.clone(),
            qty: request.qty.unwrap_or(job.qty),
            delivery: job.delivery,
            priority: job.priority,
            expires_in_s: None,
            on_uncertain: Some(job.on_uncertain),
            hold: request.hold,
            tags: job.tags.clone(),
        };
        submission::check_fields(&again)?;
        let making = Making { by, document, printer, reprint_of: Some(job.id), now: now_ms() };
        self.make(making, again).await
    }

    /// Makes a job of a test page.
    pub(crate) async fn test_page(&self, by: Submitter, printer: PrinterRow) -> Result<Job, Problem> {
        let now = now_ms();
        let when = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(now));
        let facts = Facts { printer: &printer.name, agent: &printer.agent_name, when: &when };
        let Some((format, page)) = test_page::for_printer(&printer.info, &facts) else {
            let detail = format!(
                "printer {} names no format that a test page can be made in (application/pdf, application/vnd.zebra-zpl, \
                 application/vnd.escpos, text/plain); it names {}: set `formats` in its agent's configuration",
                printer.name,
                printer.info.formats.join(", ")
            );
            return Err(ProblemKind::UnsupportedFormat.because(detail));
        };
        let request = JobCreate {
            printer: printer.id.to_string(),
            content: Content::Inline(String::new()),
            format: format.to_owned(),
            title: "Inkwire test page".to_owned(),
            idempotency_key: None,
            options: Default::default(),
            qty: 1,
            delivery: Default::default(),
            priority: 50,
            expires_in_s: Some(3600),
            on_uncertain: None,
            hold: false,
            tags: vec!["test-page".to_owned()],
        };
        let document = Document::Inline(page.into());
        let making = Making { by: &by, document: &document, printer: &printer, reprint_of: None, now };
        Ok(self.make(making, request).await?.answer.job)
    }
}

fn gone(job: &Job) -> Problem {
    let detail = format!(
        "the document of job {} is not kept any more: `retention.documents_s` in the broker's configuration says for how long",
        job.number
    );
    ProblemKind::NotFound.because(detail)
}
