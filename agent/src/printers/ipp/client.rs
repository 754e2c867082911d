//! IPP over HTTP/1.1 to one printer or queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request as HttpRequest, StatusCode, header};
use inkwire_protocol::ids::Sha256Digest;
use ipp::model::{DelimiterTag, Operation};
use ipp::parser::IppParseError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::body::RequestBody;
use super::codec::{Answer, decode};
use super::connect::{ConnectError, Route, connect};
use super::job::{self, View};
use super::request::Request;
use super::server::CupsServer;
use super::status;
use super::trust::{Pins, Trust};
use crate::printers::limits::{IPP_ANSWER_BYTES, IPP_ANSWER_WITHIN};

const IPP_2_0: u16 = 0x0200;
const IPP_1_1: u16 = 0x0101;
/// Jobs looked through when one is sought by its name; printers keep some dozens, CUPS 500 by default.
const MOST_JOBS: i32 = 1000;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    /// Nothing was given.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The request may have arrived.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// The request may have arrived.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the printer answers with HTTP status {0}{hint}", hint = hint(*.0))]
    Http(u16),
    #[error(transparent)]
    Answer(#[from] super::codec::DecodeError),
    /// Nothing was given.
    #[error("the request cannot be put into IPP: {0}")]
    Unsayable(String),
    #[error("{0}")]
    Refused(String),
}

impl AskError {
    /// The keyword that a printer's state shows for it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::CertificateChanged(_)) => "printer-certificate-changed",
            Self::Connect(ConnectError::Away(_)) | Self::Lost(_) | Self::Timeout(_) => "connecting-to-device",
            Self::Connect(ConnectError::Tls(_)) => "tls-failed",
            Self::Http(401 | 403) => "authentication-required",
            Self::Http(_) | Self::Answer(_) | Self::Refused(_) => "not-an-ipp-printer",
            Self::Unsayable(_) => "unsupported-option",
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (it wants a password, which this agent cannot give; allow this PC at the printer)",
        404 => " (wrong path in `uri`? most printers have /ipp/print)",
        426 => " (it wants TLS: use ipps:// in `uri`)",
        _ => "",
    }
}

impl From<IppParseError> for AskError {
    fn from(error: IppParseError) -> Self {
        Self::Unsayable(error.to_string())
    }
}

/// A printer or queue that can be asked.
pub(super) struct Client {
    uri: String,
    host: String,
    path: String,
    route: Route,
    version: AtomicU16,
}

impl Client {
    /// `cups` is the server of a queue on this PC, where that is known.
    pub(super) fn new(
        uri: &Url,
        pin: Option<Sha256Digest>,
        cups: Option<CupsServer>,
        pins: &Pins,
    ) -> Result<Self, AskError> {
        let name = match uri.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(AskError::Unsayable(format!("`{uri}` has no host"))),
        };
        let port = uri.port().unwrap_or(631);
        let authority = format!("{}:{port}", uri.host_str().unwrap_or_default());
        let route = match (uri.scheme(), cups) {
            ("ipps", _) => {
                let trust = Trust::new(authority.clone(), pin, pins.clone());
                let config = trust.client_config().map_err(|error| ConnectError::Tls(error.to_string()))?;
                Route::Tls { host: name, port, config: Arc::new(config), trust }
            }
            (_, Some(server)) if is_local(&name) && is_queue(uri) => Route::Cups(server),
            _ => Route::Tcp { host: name, port },
        };
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        Ok(Self {
            uri: uri.to_string(),
            host: authority,
            path: path.to_owned(),
            route,
            version: AtomicU16::new(IPP_2_0),
        })
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// A request to this printer.
    pub(super) fn request(&self, operation: Operation) -> Result<Request, AskError> {
        Ok(Request::to(&self.uri, self.version.load(Ordering::Relaxed), operation)?)
    }

    /// Asks something that needs no document.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer, AskError> {
        let head = request.encode()?;
        let answer = self.exchange(RequestBody::bare(head.clone())).await?;
        if !status::wants_other_version(answer.status) || self.version.load(Ordering::Relaxed) == IPP_1_1 {
            return Ok(answer);
        }
        // The version is the first two bytes; from now on all requests carry the older one.
        self.version.store(IPP_1_1, Ordering::Relaxed);
        let mut head = BytesMut::from(head);
        head[..2].copy_from_slice(&IPP_1_1.to_be_bytes());
        self.exchange(RequestBody::bare(head.freeze())).await
    }

    async fn exchange(&self, body: RequestBody) -> Result<Answer, AskError> {
        match timeout(IPP_ANSWER_WITHIN, async { self.open().await?.send(body).await }).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Timeout(IPP_ANSWER_WITHIN)),
        }
    }

    /// A connection of its own for one request.
    pub(super) async fn open(&self) -> Result<Open, AskError> {
        let stream = connect(&self.route).await?;
        let (sender, connection) =
            http1::handshake(stream).await.map_err(|error| AskError::Lost(error.to_string()))?;
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "an IPP connection ended");
            }
        }));
        Ok(Open { sender, host: self.host.clone(), path: self.path.clone(), _task: task })
    }

    /// What a job is now; none where the printer does not know it (any more).
    pub(super) async fn job(&self, id: i32) -> Result<Option<View>, AskError> {
        let answer = self.ask(self.request(Operation::GetJobAttributes)?.job(id).asks(job::ASKED)).await?;
        if status::is_gone(answer.status) {
            return Ok(None);
        }
        succeeded(&answer)?;
        Ok(answer.group(DelimiterTag::JobAttributes).map(View::of))
    }

    /// The job whose name carries `key`, among those that wait and those that are done.
    pub(super) async fn find(&self, key: &str) -> Result<Option<View>, AskError> {
        for which in ["not-completed", "completed"] {
            let request = self.request(Operation::GetJobs)?.user().keyword("which-jobs", which);
            let answer = self.ask(request.integer("limit", MOST_JOBS).asks(job::ASKED)).await?;
            if status::is_gone(answer.status) {
                continue;
            }
            succeeded(&answer)?;
            let mut jobs = answer.groups(DelimiterTag::JobAttributes).map(View::of);
            if let Some(found) = jobs.find(|view| view.name.contains(key)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Asks to cancel a job. A refusal is no error: what became of it is seen by looking.
    pub(super) async fn cancel(&self, id: i32) -> Result<(), AskError> {
        let answer = self.ask(self.request(Operation::CancelJob)?.job(id)).await?;
        if !answer.is_ok() {
            tracing::debug!(id, status = answer.message(), "the printer does not cancel the job");
        }
        Ok(())
    }
}

/// The path that CUPS gives its queues and classes.
pub(super) fn is_queue(uri: &Url) -> bool {
    uri.path().starts_with("/printers/") || uri.path().starts_with("/classes/")
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn succeeded(answer: &Answer) -> Result<(), AskError> {
    if answer.is_ok() { Ok(()) } else { Err(AskError::Refused(answer.message())) }
}

/// An open connection, good for one request. Dropped, it is closed at once.
pub(super) struct Open {
    sender: http1::SendRequest<RequestBody>,
    host: String,
    path: String,
    _task: AbortOnDropHandle<()>,
}

impl Open {
    /// Sends a request and reads its answer. The deadline is the caller's.
    pub(super) async fn send(mut self, body: RequestBody) -> Result<Answer, AskError> {
        let request = HttpRequest::post(&self.path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, "inkwire")
            .header(header::CONTENT_TYPE, "application/ipp")
            .body(body)
            .map_err(|error| AskError::Unsayable(error.to_string()))?;
        let response = self.sender.send_request(request).await.map_err(|error| lost(&error))?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Http(response.status().as_u16()));
        }
        Ok(decode(collect(response.into_body()).await?)?)
    }
}

/// The whole body, or an error as soon as it is too large.
async fn collect(mut body: Incoming) -> Result<Bytes, AskError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > IPP_ANSWER_BYTES {
            return Err(super::codec::DecodeError::TooLarge.into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn lost(error: &hyper::Error) -> AskError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    AskError::Lost(format!("{error}{cause}"))
}
