//! What the API asks of jobs.

use inkwire_protocol::app::{Job, JobCreate, JobCreated, JobProgress, Problem, ProblemKind};
use inkwire_protocol::ids::{AccountId, AgentId, JobId, Sha256Digest};
use inkwire_protocol::job::Decision;
use tokio::sync::broadcast;

use crate::documents::Upload;
use crate::store::JobRow;

/// The handle of the dispatcher; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    progress: broadcast::Sender<(AccountId, JobProgress)>,
}

/// A job that was made. `answer.upload` is none: who holds the connection numbers the channel.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) answer: JobCreated,
    /// Where the document goes, if it is still to come.
    pub(crate) upload: Option<Upload>,
}

impl Jobs {
    /// Checks a request, stores document and job, and answers after the commit (I1). A document of its own transfer makes an
    /// `incoming` job; [`Jobs::finish_upload`] accepts it.
    pub(crate) async fn create(&self, account: AccountId, request: JobCreate) -> Result<Created, Problem> {
        let _ = (account, request);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// Takes up the upload of an `incoming` job again. An earlier connection's upload of it fails from then on.
    pub(crate) async fn resume_upload(&self, account: AccountId, job: JobId) -> Result<Upload, Problem> {
        let _ = (account, job);
        Err(ProblemKind::Internal.because("not yet"))
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
        let _ = (account, job, upload, bytes, sha256);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// Cancels at once, or asks the agent to.
    pub(crate) async fn cancel(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        let _ = (account, job);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// Holds at once, or asks the agent to.
    pub(crate) async fn hold(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        let _ = (account, job);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// Releases a held job.
    pub(crate) async fn release(&self, account: AccountId, job: JobId) -> Result<Job, Problem> {
        let _ = (account, job);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// Decides an uncertain job.
    pub(crate) async fn decide(
        &self,
        account: AccountId,
        job: JobId,
        decision: Decision,
    ) -> Result<Job, Problem> {
        let _ = (account, job, decision);
        Err(ProblemKind::Internal.because("not yet"))
    }

    /// The agent was revoked (committed): its jobs end or become uncertain, its session is closed.
    pub(crate) async fn agent_revoked(&self, account: AccountId, agent: AgentId) {
        let _ = (account, agent);
    }

    /// The job as it is shown: with what memory knows of its progress and of why it waits.
    pub(crate) fn present(&self, row: JobRow) -> Job {
        row.job
    }

    /// Progress of all transfers; lags drop the oldest.
    pub(crate) fn progress(&self) -> broadcast::Receiver<(AccountId, JobProgress)> {
        self.progress.subscribe()
    }
}

impl Jobs {
    /// Until the dispatcher is here.
    pub(crate) fn idle() -> Self {
        Self { progress: broadcast::Sender::new(16) }
    }
}
