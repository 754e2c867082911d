//! Submission: create, transfer, finish, over as many connections as it takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{
    Content, FinishUpload, Job, JobCreate, JobCreated, JobDetail, JobRef, ProblemKind, Upload, method,
};
use inkwire_protocol::ids::JobId;
use inkwire_protocol::job::State;
use inkwire_protocol::transfer::{Layout, Sender};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::client::Client;
use crate::document::Document;
use crate::error::Error;
use crate::limits::READ_AHEAD_PACKETS;
use crate::link::{Repeat, UploadChannel, UploadState};

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadProgress {
    /// Bytes durable at the broker.
    pub acked_bytes: u64,
    /// Size of the document.
    pub total_bytes: u64,
    /// How often it was taken up again after a lost connection.
    pub resumed: u32,
}

pub(crate) async fn submit(
    client: &Client,
    mut job: JobCreate,
    mut document: Document,
    progress: impl FnMut(UploadProgress) + Send,
) -> Result<Job, Error> {
    if job.idempotency_key.is_none() {
        job.idempotency_key = Some(Uuid::now_v7().to_string());
    }
    job.content = if document.is_small() {
        Content::Inline(STANDARD.encode(document.whole().await?))
    } else {
        Content::Transfer { bytes: document.bytes(), sha256: None, packet_bytes: None }
    };
    let (created, connection): (JobCreated, u64) =
        client.ask_where(method::JOBS_CREATE, &job, Repeat::Always).await?;
    if created.job.state != State::Incoming {
        return Ok(created.job);
    }
    let first = created.upload.map(|upload| (upload, connection));
    Uploading { client, job: created.job.id, document, progress, resumed: 0 }.run(first).await
}

/// One document on its way to the broker.
struct Uploading<'a, P> {
    client: &'a Client,
    job: JobId,
    document: Document,
    progress: P,
    resumed: u32,
}

/// How a transfer on one connection ended.
enum Ended {
    /// Every packet is durable at the broker.
    Complete,
    /// The connection was lost, or the broker wants a pause: take it up again.
    Again,
}

impl<P: FnMut(UploadProgress) + Send> Uploading<'_, P> {
    async fn run(mut self, mut at: Option<(Upload, u64)>) -> Result<Job, Error> {
        loop {
            let (upload, connection) = match at.take() {
                Some(at) => at,
                None => match self.resume().await? {
                    Resumed::At(upload, connection) => (upload, connection),
                    Resumed::Accepted(job) => return Ok(*job),
                },
            };
            match self.transfer(upload, connection).await? {
                Ended::Complete => {}
                Ended::Again => {
                    self.resumed += 1;
                    continue;
                }
            }
            if let Some(job) = self.finish(upload, connection).await? {
                return Ok(job);
            }
            self.resumed += 1;
        }
    }

    /// Asks where to go on. A job that is no longer `incoming` was accepted: the answer to `finish_upload` was lost.
    async fn resume(&mut self) -> Result<Resumed, Error> {
        let params = JobRef { job: self.job };
        let refused = match self.client.ask_where(method::JOBS_RESUME_UPLOAD, &params, Repeat::Always).await {
            Ok((upload, connection)) => return Ok(Resumed::At(upload, connection)),
            Err(error) if error.kind() == Some(ProblemKind::Conflict) => error,
            Err(error) => return Err(error),
        };
        let detail: JobDetail = self.client.ask(method::JOBS_GET, &params, Repeat::Always).await?;
        match detail.job.state {
            State::Incoming => Err(refused),
            State::Pending
            | State::Held
            | State::Sending
            | State::Spooled
            | State::Printing
            | State::Stopped
            | State::Uncertain
            | State::Completed
            | State::Canceled
            | State::Aborted
            | State::Expired => Ok(Resumed::Accepted(Box::new(detail.job))),
        }
    }

    /// Sends packets on one connection until all are durable or it is lost.
    async fn transfer(&mut self, upload: Upload, connection: u64) -> Result<Ended, Error> {
        let not_understood =
            |detail: String| Error::NotUnderstood { method: method::JOBS_RESUME_UPLOAD, detail };
        let layout = Layout::new(self.document.bytes(), upload.packet_bytes)
            .map_err(|error| not_understood(error.to_string()))?;
        let mut sender = Sender::new(layout, upload.next_seq, true);
        // The answer is the first ack: it may grant more than everybody has from the start.
        if let Err(violation) = sender.on_ack(upload.next_seq, upload.credit) {
            return Err(not_understood(violation.to_string()));
        }
        if sender.is_complete() {
            // Cut between the last ack and the acceptance: nothing is left to send, and no ack will come.
            return Ok(Ended::Complete);
        }
        let (packets, from_here) = mpsc::channel(READ_AHEAD_PACKETS);
        let (state, mut states) = watch::channel(UploadState::Acked(upload.next_seq));
        let channel =
            UploadChannel { connection, transfer: upload.transfer, sender, packets: from_here, state };
        self.client.link().upload(channel).await?;

        let feed = feed(&mut self.document, layout, upload.next_seq, packets);
        tokio::pin!(feed);
        let mut fed = false;
        loop {
            let now = states.borrow_and_update().clone();
            match now {
                UploadState::Acked(next_seq) => (self.progress)(UploadProgress {
                    acked_bytes: layout.bytes_below(next_seq),
                    total_bytes: layout.bytes(),
                    resumed: self.resumed,
                }),
                UploadState::Complete => return Ok(Ended::Complete),
                UploadState::Lost => return Ok(Ended::Again),
                UploadState::Refused(problem) => {
                    let error = Error::Refused(problem);
                    return if error.is_retryable() { pause(&error).await } else { Err(error) };
                }
            }
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return Ok(Ended::Again) },
                result = &mut feed, if !fed => {
                    result?;
                    fed = true;
                }
            }
        }
    }

    /// Asks for the acceptance; none where it must be found out on another connection.
    async fn finish(&mut self, upload: Upload, connection: u64) -> Result<Option<Job>, Error> {
        let sha256 = Some(self.document.digest().await?);
        let params = FinishUpload { transfer: upload.transfer, bytes: self.document.bytes(), sha256 };
        match self.client.ask(method::JOBS_FINISH_UPLOAD, &params, Repeat::Only(connection)).await {
            Ok(job) => Ok(Some(job)),
            Err(Error::Interrupted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where an interrupted upload stands.
enum Resumed {
    At(Upload, u64),
    Accepted(Box<Job>),
}

/// The broker has no place now: wait as long as it says.
async fn pause(error: &Error) -> Result<Ended, Error> {
    let wait = error.problem().and_then(|problem| problem.retry_after_s).unwrap_or(2).clamp(1, 60);
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    Ok(Ended::Again)
}

/// Reads packet after packet ahead of the socket; ends when all are handed over or nobody wants them.
async fn feed(
    document: &mut Document,
    layout: Layout,
    next_seq: u32,
    packets: mpsc::Sender<bytes::Bytes>,
) -> Result<(), Error> {
    let mut seq = next_seq;
    while let Some(slice) = layout.slice(seq) {
        let data = document.read_at(slice.offset, slice.len as usize).await?;
        if packets.send(data).await.is_err() {
            return Ok(());
        }
        seq += 1;
    }
    Ok(())
}
