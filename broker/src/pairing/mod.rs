//! Pairing: a PC that is nobody yet becomes an agent of an account.
//!
//! ```text
//!  PC ─▶ /v1/pair:  ◀ challenge   pair {key, proof} ▶   ◀ code          ... waits ...        ◀ paired
//!  person:                                    types the code, sees host and fingerprint, approves exactly this key
//! ```
//!
//! Or the PC brings a one-use enrolment token, and is an agent at once.

mod book;
mod code;
mod serve;

use std::sync::{Mutex, MutexGuard, PoisonError};

use inkwire_protocol::app::{ApprovePairing, PendingPairing, Problem, ProblemKind, RefusePairing};
use inkwire_protocol::ids::{AccountId, AgentId, Sha256Digest};
use inkwire_protocol::limits::MAX_NAME_CHARS;
use inkwire_protocol::message::FromPairing;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::book::{Applicant, Book, Denied};
use crate::clock::now_ms;
use crate::store::{AgentRow, Change, CommitError, NewAgent, Outcome, SharedStore};

pub(crate) use serve::SOCKET;

/// All who wait, and how they become agents.
#[derive(Debug)]
pub(crate) struct Pairings {
    store: SharedStore,
    book: Mutex<Book<oneshot::Sender<FromPairing>>>,
}

impl Pairings {
    /// Nobody waits.
    pub(crate) fn new(store: SharedStore) -> Self {
        Self { store, book: Mutex::default() }
    }

    /// Who waits under a code that somebody typed.
    pub(crate) fn show(&self, account: AccountId, code: &str) -> Result<PendingPairing, Problem> {
        let mut book = self.book();
        let (applicant, expires_in_s) =
            book.show(account, code, now_ms()).map_err(|denied| problem(&denied))?;
        Ok(PendingPairing {
            hostname: applicant.hostname.clone(),
            os: applicant.os.clone(),
            observed_endpoint: applicant.observed,
            fingerprint: applicant.fingerprint(),
            expires_in_s,
        })
    }

    /// Makes who waits under the code an agent of the account, and tells it.
    pub(crate) async fn approve(
        &self,
        account: AccountId,
        account_name: &str,
        approval: &ApprovePairing,
        audit: Change,
    ) -> Result<AgentRow, Problem> {
        if approval.name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > MAX_NAME_CHARS)
        {
            let range = format!("a name has 1 to {MAX_NAME_CHARS} characters");
            return Err(ProblemKind::InvalidParams.because(range).at("/name"));
        }
        let (applicant, answer) = self
            .book()
            .approve(account, &approval.code, &approval.fingerprint, now_ms())
            .map_err(|denied| problem(&denied))?;
        let name = approval.name.clone().unwrap_or_else(|| applicant.hostname.clone());
        let made = self.make_agent((Some(account), None), &applicant, name, Some(audit)).await;
        let told = match &made {
            Ok(row) => paired(row, account_name),
            Err(_) => {
                FromPairing::Refused { reason: "the broker could not store the agent: try again".into() }
            }
        };
        if answer.send(told).is_err() {
            tracing::info!("an agent went away while it was approved: it must be paired again");
        }
        let row = made.map_err(|error| {
            tracing::error!(%error, "a paired agent could not be stored");
            ProblemKind::Internal.because("the agent could not be stored: pair it again")
        })?;
        tracing::info!(agent = %row.id, name = row.name, endpoint = %applicant.observed, "agent paired");
        Ok(*row)
    }

    /// Sends who waits under the code away, if it holds exactly this key.
    pub(crate) async fn refuse(
        &self,
        account: AccountId,
        refusal: &RefusePairing,
        audit: Change,
    ) -> Result<(), Problem> {
        let (applicant, answer) = self
            .book()
            .approve(account, &refusal.code, &refusal.fingerprint, now_ms())
            .map_err(|denied| problem(&denied))?;
        let reason = "somebody refused this PC: ask who administers the account".to_owned();
        if answer.send(FromPairing::Refused { reason }).is_err() {
            tracing::debug!("an agent went away before it was refused");
        }
        self.store.commit(vec![audit]).await.map_err(|error| {
            tracing::error!(%error, "a refusal could not be written down");
            ProblemKind::Internal.because("the refusal was told, but could not be written down")
        })?;
        tracing::info!(hostname = applicant.hostname, endpoint = %applicant.observed, "pairing refused");
        Ok(())
    }

    async fn make_agent(
        &self,
        (account, enrolment): (Option<AccountId>, Option<Sha256Digest>),
        applicant: &Applicant,
        name: String,
        audit: Option<Change>,
    ) -> Result<Box<AgentRow>, CommitError> {
        let new = NewAgent {
            id: AgentId::from_uuid(Uuid::now_v7()),
            account,
            enrolment,
            public_key: applicant.public_key,
            name,
            hostname: applicant.hostname.clone(),
            os: applicant.os.clone(),
            version: applicant.version.clone(),
            at_ms: now_ms(),
        };
        let mut changes = vec![Change::PairAgent(Box::new(new))];
        changes.extend(audit);
        match self.store.commit(changes).await?.into_iter().next() {
            Some(Outcome::Agent(row)) => Ok(row),
            other => Err(CommitError::Engine(format!("pairing answered {other:?}"))),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book<oneshot::Sender<FromPairing>>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn paired(row: &AgentRow, account_name: &str) -> FromPairing {
    FromPairing::Paired {
        agent: row.id,
        agent_name: row.name.clone(),
        account_name: account_name.to_owned(),
        broker_time_ms: now_ms(),
    }
}

fn problem(denied: &Denied) -> Problem {
    match denied {
        Denied::TooManyTries { retry_after_s } => {
            let mut problem = ProblemKind::Busy.because(denied.to_string());
            problem.retry_after_s = Some(*retry_after_s);
            problem
        }
        Denied::Unknown => ProblemKind::NotFound.because(denied.to_string()).at("/code"),
        Denied::OtherKey => ProblemKind::Conflict.because(denied.to_string()).at("/fingerprint"),
    }
}
