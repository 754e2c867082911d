//! What an operator's program does: agents, printers, jobs once more, documents back, the day in numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{
    self, Agent, AgentRef, AgentRename, DocumentGet, Job, JobCreated, JobPriority, JobReprint, Printer,
    PrinterRef, PrinterUpdate, SessionList, Sessions, Stats, method,
};
use inkwire_protocol::ids::{AgentId, JobId, PrinterId, Sha256Digest};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::link::Repeat;

impl Client {
    /// A page of an agent's sessions, newest first.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn sessions(&self, list: &SessionList) -> Result<Sessions, Error> {
        self.ask(method::AGENTS_SESSIONS, list, Repeat::Always).await
    }

    /// Gives an agent another name.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn rename_agent(&self, agent: AgentId, name: impl Into<String>) -> Result<Agent, Error> {
        let params = AgentRename { agent, name: name.into() };
        self.ask(method::AGENTS_RENAME, &params, Repeat::Always).await
    }

    /// Shuts an agent out for good.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn revoke_agent(&self, agent: AgentId) -> Result<Agent, Error> {
        self.ask(method::AGENTS_REVOKE, &AgentRef { agent }, Repeat::Always).await
    }

    /// Ends the quarantine of an agent whose identity two PCs used. Not repeated by itself: a second one might end the next quarantine.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Interrupted`] where the answer was lost.
    pub async fn release_agent(&self, agent: AgentId) -> Result<Agent, Error> {
        self.ask(method::AGENTS_RELEASE, &AgentRef { agent }, Repeat::Unsent).await
    }

    /// One printer: what it can, how it is, and what is set for it.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn printer(&self, printer: PrinterId) -> Result<Printer, Error> {
        self.ask(method::PRINTERS_GET, &PrinterRef { printer }, Repeat::Always).await
    }

    /// Changes a printer's name and settings; what `update` leaves out stays.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn update_printer(&self, update: &PrinterUpdate) -> Result<Printer, Error> {
        self.ask(method::PRINTERS_UPDATE, update, Repeat::Always).await
    }

    /// Prints a test page in a format that the printer takes. Not repeated by itself: it might come out twice.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Interrupted`] where the answer was lost.
    pub async fn test_page(&self, printer: PrinterId) -> Result<Job, Error> {
        self.ask(method::PRINTERS_TEST_PAGE, &PrinterRef { printer }, Repeat::Unsent).await
    }

    /// Gives a job that is not with its agent yet another place in the queue.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn set_priority(&self, job: JobId, priority: u8) -> Result<Job, Error> {
        self.ask(method::JOBS_SET_PRIORITY, &JobPriority { job, priority }, Repeat::Always).await
    }

    /// Prints the document of an earlier job again, as a new job. An idempotency key is made where none is given, so that a repeated
    /// request makes no second one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn reprint(&self, mut wish: JobReprint) -> Result<Job, Error> {
        if wish.idempotency_key.is_none() {
            wish.idempotency_key = Some(Uuid::now_v7().to_string());
        }
        let created: JobCreated = self.ask(method::JOBS_REPRINT, &wish, Repeat::Always).await?;
        Ok(created.job)
    }

    /// Writes what was submitted with a job to `out`, piece by piece, and checks it by its digest. Says how many bytes it has.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Document`] where it cannot be written, or is not what its digest says.
    pub async fn document(&self, job: JobId, out: &mut (impl AsyncWrite + Unpin)) -> Result<u64, Error> {
        let (mut offset, mut hasher) = (0, Sha256::new());
        loop {
            let params = DocumentGet { job, offset };
            let piece: app::Document = self.ask(method::DOCUMENTS_GET, &params, Repeat::Always).await?;
            let data = STANDARD.decode(&piece.content).map_err(|error| Error::NotUnderstood {
                method: method::DOCUMENTS_GET,
                detail: error.to_string(),
            })?;
            out.write_all(&data).await.map_err(Error::document)?;
            hasher.update(&data);
            offset += data.len() as u64;
            if offset < piece.bytes && !data.is_empty() {
                continue;
            }
            out.flush().await.map_err(Error::document)?;
            let actual = Sha256Digest::from_bytes(hasher.finalize().into());
            if actual != piece.sha256 {
                let what = format!("the document's SHA-256 is {actual}, it should be {}", piece.sha256);
                return Err(Error::document(std::io::Error::other(what)));
            }
            return Ok(offset);
        }
    }

    /// The last 24 hours in numbers, and what waits for a human.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.ask(method::STATS_SUMMARY, &json!({}), Repeat::Always).await
    }
}
