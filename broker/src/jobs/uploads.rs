//! Documents on their way in by packets: taken up again, and finished.

use inkwire_protocol::app::{Job, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, JobId, Sha256Digest};
use inkwire_protocol::job::{Event, State};
use inkwire_protocol::transfer::Layout;

use super::handle::Jobs;
use super::input::Wish;
use super::problems::{internal, upload_problem};
use super::transition::Note;
use crate::documents::{Upload, Whole};
use crate::store::{Change, JobRow};

impl Jobs {
    async fn upload_of(&self, row: &JobRow) -> Result<Option<Upload>, Problem> {
        if row.job.state != State::Incoming {
            return Ok(None);
        }
        let layout = Layout::new(row.job.bytes, row.packet_bytes).map_err(|error| internal(&error))?;
        let upload = self.documents.upload(row.account, row.document, layout).await;
        upload.map(Some).map_err(|error| upload_problem(&error))
    }

    /// Takes up the upload of an `incoming` job again. An earlier connection's upload must have been dropped.
    pub(crate) async fn resume_upload(&self, account: AccountId, job: JobId) -> Result<Upload, Problem> {
        let mut row = self.row(account, job).await?;
        if row.job.state == State::Incoming && !wants_upload(&row) {
            let detail = format!("the broker fetches the document of job {} itself", row.job.number);
            let mut problem = ProblemKind::Conflict.because(detail);
            problem.state = Some(row.job.state);
            return Err(problem);
        }
        if row.job.state == State::Incoming {
            // Its finish was cut off between file and commit.
            let whole =
                self.documents.whole(account, row.document).await.map_err(|error| upload_problem(&error))?;
            if let Some(whole) = whole.filter(|whole| whole.bytes == row.job.bytes) {
                row.job = self.accept(&row, whole).await?;
            }
        }
        match self.upload_of(&row).await? {
            Some(upload) => Ok(upload),
            None => {
                let detail = format!("job {} is {}: its document has come", row.job.number, row.job.state);
                let mut problem = ProblemKind::Conflict.because(detail);
                problem.state = Some(row.job.state);
                Err(problem)
            }
        }
    }

    /// Every packet came: checks size and digest, gives the file its name, accepts the job. Repeating it is fine.
    pub(crate) async fn finish_upload(
        &self,
        account: AccountId,
        job: JobId,
        upload: Upload,
        bytes: u64,
        sha256: Option<Sha256Digest>,
    ) -> Result<Job, Problem> {
        let row = self.row(account, job).await?;
        if row.job.state != State::Incoming {
            return Ok(self.present(row));
        }
        if bytes != row.job.bytes {
            let detail = format!("{bytes} bytes were sent, {} were announced", row.job.bytes);
            return Err(ProblemKind::DigestMismatch.because(detail).at("/bytes"));
        }
        let stated = sha256.or(row.job.sha256);
        if row.job.sha256.is_some_and(|announced| stated != Some(announced)) {
            return Err(ProblemKind::DigestMismatch.because("another digest was announced").at("/sha256"));
        }
        let whole = self.documents.finish(&upload, stated).await.map_err(|error| upload_problem(&error))?;
        self.accept(&row, whole).await
    }

    pub(super) async fn accept(&self, row: &JobRow, whole: Whole) -> Result<Job, Problem> {
        let store = Change::StoreDocument {
            document: row.document,
            bytes: whole.bytes,
            sha256: whole.sha256,
            inline: None,
        };
        let wish = Wish::Do {
            events: vec![Event::Accept { held: row.hold }],
            note: Note::default(),
            attempt: None,
            with: Some(Box::new(store)),
        };
        self.ask(row.account, row.job.id, wish).await
    }
}

/// Whether an app is to send the job's document. One that the broker fetches has no packets.
pub(super) fn wants_upload(row: &JobRow) -> bool {
    row.job.state == State::Incoming && row.packet_bytes > 0
}
