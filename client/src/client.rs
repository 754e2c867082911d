//! The handle that callers hold.

use std::time::Duration;

use inkwire_protocol::app::{
    Agent, AgentRef, Agents, ApprovePairing, Content, Job, JobCreate, JobDecide, JobDetail, JobList, JobRef,
    Jobs, Me, PairingCode, PendingPairing, Printer, Printers, Subscribe, method,
};
use inkwire_protocol::ids::{AgentId, JobId, Sha256Digest};
use inkwire_protocol::job::Decision;
use inkwire_protocol::printer::{Delivery, JobOptions};
use inkwire_transport::BrokerUrl;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;

use crate::document::Document;
use crate::error::Error;
use crate::events::EventStream;
use crate::limits::{CALL_WITHIN, CONNECT_WITHIN};
use crate::link::{Answered, Link, Repeat};
use crate::submit::{self, UploadProgress};

/// An API key. Its `Debug` does not show it.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key itself: for the `Authorization` header, or to be kept where nobody else can read it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(masked)")
    }
}

impl<T: Into<String>> From<T> for ApiKey {
    fn from(key: T) -> Self {
        Self(key.into())
    }
}

/// How a client behaves; [`Options::new`] has what suits most.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker's address, with the pin of its certificate authority where it is not a public one.
    pub url: BrokerUrl,
    /// The key.
    pub key: ApiKey,
    /// A call, with its retries over reconnects, is answered by then or fails.
    pub call_within: Duration,
    /// The first connection stands by then or connecting fails.
    pub connect_within: Duration,
    /// Every connection's task watches it as long as it lives.
    pub(crate) links: watch::Sender<()>,
}

impl Options {
    /// The defaults: 30 s for a call, 15 s for the first connection.
    pub fn new(url: BrokerUrl, key: impl Into<ApiKey>) -> Self {
        let (links, _) = watch::channel(());
        Self { url, key: key.into(), call_within: CALL_WITHIN, connect_within: CONNECT_WITHIN, links }
    }

    /// Returns when every connection that was made with these options (or clones of them) has ended: what a program awaits that
    /// is about to exit, after it has dropped its [`Client`]s and event streams, so that the broker hears a close frame.
    pub async fn farewell(&self) {
        self.links.closed().await;
    }
}

/// A connection to the app API that comes back by itself. Cheap to clone; all clones share one WebSocket, which is
/// closed when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    link: Link,
    options: Options,
}

/// A job with the defaults of everything that is not said: change its fields as needed.
/// Its `content` is filled in by [`Client::submit`].
pub fn new_job(printer: impl Into<String>, format: impl Into<String>) -> JobCreate {
    JobCreate {
        printer: printer.into(),
        content: Content::Inline(String::new()),
        format: format.into(),
        title: String::new(),
        idempotency_key: None,
        options: JobOptions::default(),
        qty: 1,
        delivery: Delivery::default(),
        priority: 50,
        expires_in_s: None,
        on_uncertain: None,
        hold: false,
        tags: Vec::new(),
    }
}

impl Client {
    /// Connects and signs in.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where no connection stood in time, [`Error::Refused`] where the key is not valid.
    pub async fn connect(url: BrokerUrl, key: impl Into<ApiKey>) -> Result<Self, Error> {
        Self::with(Options::new(url, key)).await
    }

    /// Connects and signs in, with options.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn with(options: Options) -> Result<Self, Error> {
        let link = Link::connect(&options, None).await?;
        Ok(Self { link, options })
    }

    /// Who the key speaks for.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn me(&self) -> Result<Me, Error> {
        self.ask(method::ME, &json!({}), Repeat::Always).await
    }

    /// All agents, by name.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agents(&self) -> Result<Vec<Agent>, Error> {
        let agents: Agents = self.ask(method::AGENTS_LIST, &json!({}), Repeat::Always).await?;
        Ok(agents.agents)
    }

    /// One agent with the history of its endpoints.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent(&self, agent: AgentId) -> Result<Agent, Error> {
        self.ask(method::AGENTS_GET, &AgentRef { agent }, Repeat::Always).await
    }

    /// All printers, by agent and number.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn printers(&self) -> Result<Vec<Printer>, Error> {
        let printers: Printers = self.ask(method::PRINTERS_LIST, &json!({}), Repeat::Always).await?;
        Ok(printers.printers)
    }

    /// Sends a document and answers when the broker has accepted it: document and job are on its stable storage.
    ///
    /// Small documents travel in the request, larger ones as a transfer that goes on at the packet where a lost
    /// connection stopped it. An idempotency key is made where none is given, so that a repeated request makes no
    /// second job. Dropping the future gives up; the broker forgets what was not finished.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn submit(&self, job: JobCreate, document: impl Into<Document>) -> Result<Job, Error> {
        self.submit_with(job, document, |_| ()).await
    }

    /// As [`Client::submit`], telling how far the upload is.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn submit_with(
        &self,
        job: JobCreate,
        document: impl Into<Document>,
        progress: impl FnMut(UploadProgress) + Send,
    ) -> Result<Job, Error> {
        submit::submit(self, job, document.into(), progress).await
    }

    /// One job with its history.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn job(&self, job: JobId) -> Result<JobDetail, Error> {
        self.ask(method::JOBS_GET, &JobRef { job }, Repeat::Always).await
    }

    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn jobs(&self, list: &JobList) -> Result<Jobs, Error> {
        self.ask(method::JOBS_LIST, list, Repeat::Always).await
    }

    /// Cancels a job, or asks its agent to where that owns the outcome.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn cancel(&self, job: JobId) -> Result<Job, Error> {
        self.ask(method::JOBS_CANCEL, &JobRef { job }, Repeat::Always).await
    }

    /// Holds a job.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn hold(&self, job: JobId) -> Result<Job, Error> {
        self.ask(method::JOBS_HOLD, &JobRef { job }, Repeat::Always).await
    }

    /// Lets a held job go on.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn release(&self, job: JobId) -> Result<Job, Error> {
        self.ask(method::JOBS_RELEASE, &JobRef { job }, Repeat::Always).await
    }

    /// Decides an uncertain outcome. Not repeated by itself: a second `reprint` might print twice.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Interrupted`] where the answer was lost.
    pub async fn decide(&self, job: JobId, decision: Decision) -> Result<Job, Error> {
        self.ask(method::JOBS_DECIDE, &JobDecide { job, decision }, Repeat::Unsent).await
    }

    /// What waits for approval under a pairing code.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn pairing(&self, code: &str) -> Result<PendingPairing, Error> {
        let params = PairingCode { code: code.to_owned() };
        self.ask(method::PAIRINGS_SHOW, &params, Repeat::Always).await
    }

    /// Approves exactly the key with this fingerprint.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn approve(
        &self,
        code: &str,
        fingerprint: Sha256Digest,
        name: Option<String>,
    ) -> Result<Agent, Error> {
        let params = ApprovePairing { code: code.to_owned(), fingerprint, name };
        self.ask(method::PAIRINGS_APPROVE, &params, Repeat::Unsent).await
    }

    /// Follows the account's events on a connection of its own, from `subscribe.after` or from now on.
    ///
    /// # Errors
    /// As [`Client::connect`]; later losses of the connection are healed by the stream itself.
    pub async fn events(&self, subscribe: Subscribe) -> Result<EventStream, Error> {
        EventStream::open(&self.options, subscribe).await
    }

    /// Any method that this library has no function for.
    ///
    /// It is not repeated where its answer was lost.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, Error> {
        self.ask(method, params, Repeat::Unsent).await
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T, Error> {
        Ok(self.ask_where(method, params, repeat).await?.0)
    }

    /// As [`Client::ask`], with the number of the connection that answered: channels are only good on that one.
    pub(crate) async fn ask_where<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
        repeat: Repeat,
    ) -> Result<(T, u64), Error> {
        let not_understood =
            |error: serde_json::Error| Error::NotUnderstood { method, detail: error.to_string() };
        let params = serde_json::to_value(params).map_err(not_understood)?;
        let Answered { result, connection } =
            self.link.call(method, params, repeat, self.options.call_within).await?;
        Ok((serde_json::from_value(result).map_err(not_understood)?, connection))
    }
}
