//! Documents that the broker fetches itself: the job is `incoming` with the reason `fetching` until the document is on disk.
//!
//! What is to be fetched stands in the store, so that it goes on after a restart, from the beginning of the document. A server that may do
//! better another time is asked again; everything else ends the job with the reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use inkwire_protocol::ids::AccountId;
use inkwire_protocol::job::{Event, State};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Jobs;
use super::input::Wish;
use super::transition::Note;
use crate::documents::{UploadError, Whole};
use crate::limits::{FETCHES_AT_ONCE, FETCHES_AT_ONCE_EACH, MAX_FETCHES};
use crate::outbound::{Outbound, OutboundError};
use crate::store::{Change, FetchRow, JobRow};

/// Pauses before a server is asked again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(300)];
/// While a document comes, it is looked so often whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What fetching stands on; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Fetching {
    pub(super) outbound: Arc<Outbound>,
    /// Fetches at once, all accounts together.
    places: Arc<Semaphore>,
    rooms: Arc<Mutex<HashMap<AccountId, Weak<Room>>>>,
    stop: CancellationToken,
}

/// What one account may have, so that slow servers of one hold up nobody else.
#[derive(Debug)]
struct Room {
    at_once: Semaphore,
    waiting: Arc<Semaphore>,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Source(#[from] OutboundError),
    #[error(transparent)]
    Disk(#[from] UploadError),
    /// It was canceled, or has expired.
    #[error("the document is not wanted any more")]
    Unwanted,
}

impl Failed {
    fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.may_pass(),
            Self::Disk(error) => matches!(error, UploadError::Full(_) | UploadError::FilledUp),
            Self::Unwanted => false,
        }
    }

    const fn keyword(&self) -> &'static str {
        match self {
            Self::Source(error) => error.keyword(),
            Self::Disk(UploadError::Digest { .. }) => "digest-mismatch",
            Self::Disk(_) => "storage-failed",
            Self::Unwanted => "canceled",
        }
    }
}

impl Fetching {
    pub(super) fn new(outbound: Arc<Outbound>, stop: CancellationToken) -> Self {
        Self { outbound, places: Arc::new(Semaphore::new(FETCHES_AT_ONCE)), rooms: Arc::default(), stop }
    }

    /// Whether one more of the account may wait.
    pub(super) fn has_room(&self, account: AccountId) -> bool {
        self.room(account).waiting.available_permits() > 0
    }

    fn room(&self, account: AccountId) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(&account).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let waiting = Arc::new(Semaphore::new(MAX_FETCHES));
        let room = Arc::new(Room { at_once: Semaphore::new(FETCHES_AT_ONCE_EACH), waiting });
        rooms.insert(account, Arc::downgrade(&room));
        room
    }

    /// Fetches a document in a task of its own.
    pub(super) fn begin(&self, jobs: Jobs, row: FetchRow) {
        let (fetching, room) = (self.clone(), self.room(row.account));
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let waiting = room.waiting.clone().acquire_owned();
            // More than may wait were found at a start: they wait here.
            let Some(Ok(_waiting)) = stop.run_until_cancelled(waiting).await else { return };
            stop.run_until_cancelled(fetching.run(&jobs, &row, &room)).await;
        });
    }

    async fn run(&self, jobs: &Jobs, row: &FetchRow, room: &Room) {
        let mut pauses = PAUSES.iter();
        let failed = loop {
            let tried = {
                let Ok(_mine) = room.at_once.acquire().await else { return };
                let Ok(_place) = self.places.acquire().await else { return };
                self.once(jobs, row).await
            };
            match tried {
                Ok(()) => break None,
                Err(failed) => {
                    let pause = pauses.next().filter(|_| failed.may_pass());
                    let Some(pause) = pause else { break Some(failed) };
                    tracing::debug!(job = %row.job, %failed, "a document is fetched again later");
                    tokio::time::sleep(*pause).await;
                }
            }
        };
        if let Some(failed) = failed.filter(|failed| !matches!(failed, Failed::Unwanted)) {
            tracing::info!(job = %row.job, error = %failed, "a document was not fetched");
            let note = Note::because(failed.keyword(), &format!("the document was not fetched: {failed}"));
            let wish = Wish::Do { events: vec![Event::Abort], note, attempt: None, with: None };
            if let Err(problem) = jobs.ask(row.account, row.job, wish).await {
                tracing::debug!(job = %row.job, %problem, "the job had ended before");
            }
        }
        if let Err(error) = jobs.store.commit(vec![Change::EndFetch { job: row.job }]).await {
            tracing::warn!(job = %row.job, %error, "a fetch that has ended stays in the store until the next start");
        }
    }

    async fn once(&self, jobs: &Jobs, row: &FetchRow) -> Result<(), Failed> {
        let job = wanted(jobs, row).await?;
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let arriving = self.arrive(jobs, &job, row);
        tokio::pin!(arriving);
        let whole = loop {
            tokio::select! {
                whole = &mut arriving => break whole?,
                _ = look.tick() => drop(wanted(jobs, row).await?),
            }
        };
        match jobs.accept(&job, whole).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Failed::Unwanted),
        }
    }

    async fn arrive(&self, jobs: &Jobs, job: &JobRow, row: &FetchRow) -> Result<Whole, Failed> {
        let mut fetched = self.outbound.fetch(&row.url, jobs.max_document_bytes).await?;
        jobs.documents.admit(fetched.bytes.unwrap_or(0)).map_err(UploadError::from)?;
        let mut intake = jobs.documents.intake(row.account, job.document);
        while let Some(data) = fetched.next().await? {
            intake.write(&data).await?;
        }
        Ok(intake.finish_as_file(row.sha256).await?)
    }
}

/// The job, while its document is wanted.
async fn wanted(jobs: &Jobs, row: &FetchRow) -> Result<JobRow, Failed> {
    let job = jobs.store.job(row.account, row.job).await;
    let job = job.map_err(|error| UploadError::Disk(error.to_string()))?;
    job.filter(|job| job.job.state == State::Incoming).ok_or(Failed::Unwanted)
}
