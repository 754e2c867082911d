//! The link task: dial, work, wait, again.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use inkwire_protocol::app::{Problem, ProblemKind};
use inkwire_protocol::close::AfterClose;
use inkwire_protocol::limits::HANDSHAKE_WITHIN;
use inkwire_protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_transport::{
    ClockOffset, Closed, Dial, DialError, DialIo, Socket, SocketConfig, Trust, client_config, dial,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::session::{Held, Over, Session};
use super::{Command, Subscription};
use crate::backoff::Backoff;
use crate::client::Options;
use crate::error::Error;
use crate::limits::MAX_PENDING_CALLS;

type First = oneshot::Sender<Result<(), Error>>;

/// Owns everything of one link.
pub(super) struct Task {
    options: Options,
    inbox: mpsc::Receiver<Command>,
    held: Held,
    backoff: Backoff,
    /// Connections so far.
    connections: u64,
    clock: Arc<ClockOffset>,
}

/// Why dialling ended.
enum Failed {
    /// Try again, not before the time that the broker asked for.
    Again(Error, Option<Duration>),
    /// Likely the wrong place: the first connection fails with it at once, later ones try again (a captive portal passes).
    Wrong(Error),
    /// Nothing but a person can change it.
    ForGood(Error),
}

impl Task {
    pub(super) fn new(
        options: Options,
        inbox: mpsc::Receiver<Command>,
        subscription: Option<Subscription>,
    ) -> Self {
        let held = Held { subscription, ..Held::default() };
        let clock = Arc::new(ClockOffset::new());
        Self { options, inbox, held, backoff: Backoff::default(), connections: 0, clock }
    }

    /// Runs until the last handle is gone. `first` is told how the first connection went.
    pub(super) async fn run(mut self, first: First) {
        let mut first = Some(first);
        let end = match self.work(&mut first).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if let Some(first) = first {
            if first.send(Err(end)).is_err() {
                tracing::debug!("nobody waits for the connection any more");
            }
            return;
        }
        tracing::warn!(error = %end, "the connection to the broker is given up");
        self.last_words(&end).await;
    }

    /// Connects and works, again and again; an error is the end for good.
    async fn work(&mut self, first: &mut Option<First>) -> Result<(), Error> {
        let tls = client_config(Trust::of(&self.options.url), Arc::clone(&self.clock))
            .map_err(|error| self.unreachable(&error))?;
        let give_up_at = Instant::now() + self.options.connect_within;
        loop {
            let dialling = Box::pin(connect(self.options.clone(), Arc::clone(&self.clock), Arc::clone(&tls)));
            let Some(dialled) = self.meanwhile(dialling, None).await else { return Ok(()) };
            let mut at_once = false;
            let (error, at_least) = match dialled {
                Ok(socket) => {
                    self.backoff.reset();
                    if let Some(first) = first.take()
                        && first.send(Ok(())).is_err()
                    {
                        return Ok(());
                    }
                    self.connections += 1;
                    let over =
                        Session::new(self.connections, socket, &mut self.held, &mut self.inbox).run().await;
                    self.held.on_lost();
                    match over {
                        Over::Unneeded => return Ok(()),
                        Over::Refused(error) => return Err(error),
                        Over::Silent => {
                            // Only this path died: nobody else comes back at the same instant.
                            at_once = true;
                            (self.unreachable(&"no byte came for too long"), None)
                        }
                        Over::Closed(closed) => self.after(&closed)?,
                    }
                }
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::Again(error, _)) if first.is_some() && Instant::now() >= give_up_at => {
                    return Err(error);
                }
                Err(Failed::Wrong(error)) if first.is_some() => return Err(error),
                Err(Failed::Wrong(error)) => (error, None),
                Err(Failed::Again(error, at_least)) => (error, at_least),
            };
            tracing::debug!(%error, "the broker is away");
            let busy = self.held.calls.len() > 0;
            if at_once {
                continue;
            }
            let wait = self.backoff.next(rand::random(), busy, at_least);
            if self.meanwhile(tokio::time::sleep(wait), Some(&error)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Does something without a connection and takes commands meanwhile; none when the last handle is gone.
    async fn meanwhile<F: Future>(&mut self, what: F, why: Option<&Error>) -> Option<F::Output> {
        let mut what = std::pin::pin!(what);
        loop {
            let due = self.held.calls.next_deadline();
            let overdue = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let room = self.held.calls.len() < MAX_PENDING_CALLS;
            tokio::select! {
                output = &mut what => return Some(output),
                command = self.inbox.recv(), if room => self.held.take(command?, None),
                () = overdue => self.held.calls.on_time(Instant::now(), why),
            }
        }
    }

    /// How to go on after a close.
    fn after(&self, closed: &Closed) -> Result<(Error, Option<Duration>), Error> {
        match closed.after() {
            AfterClose::Reconnect => Ok((self.unreachable(closed), None)),
            AfterClose::ReconnectAfter(wait) => Ok((self.unreachable(closed), Some(wait))),
            AfterClose::Hourly => {
                Err(Error::Refused(ProblemKind::Unauthenticated.because(format!("{closed}; sign in again"))))
            }
        }
    }

    fn unreachable(&self, detail: &impl std::fmt::Display) -> Error {
        unreachable(&self.options, detail)
    }

    /// Answers everything with the error that ended the link.
    async fn last_words(mut self, end: &Error) {
        if let Some(mut subscription) = self.held.subscription.take() {
            subscription.on_end(end);
            while subscription.is_behind() && subscription.deliver().await {}
        }
        self.held.calls.fail_all(end);
        while let Some(command) = self.inbox.recv().await {
            self.held.take(command, None);
            self.held.calls.fail_all(end);
        }
    }
}

fn unreachable(options: &Options, detail: &impl std::fmt::Display) -> Error {
    Error::Unreachable { url: options.url.origin(), detail: detail.to_string() }
}

/// One dial of the app's WebSocket.
async fn connect(
    options: Options,
    clock: Arc<ClockOffset>,
    tls: Arc<rustls::ClientConfig>,
) -> Result<Socket<DialIo>, Failed> {
    let bearer = format!("Bearer {}", options.key.reveal());
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| {
        let detail = "the key has characters that no key has; copy it again";
        Failed::ForGood(Error::Refused(ProblemKind::Unauthenticated.because(detail)))
    })?;
    bearer.set_sensitive(true);
    let dialled = dial(Dial {
        url: &options.url,
        tls,
        clock: &clock,
        path: APP_PATH,
        subprotocol: APP_SUBPROTOCOL,
        headers: HeaderMap::from_iter([(AUTHORIZATION, bearer)]),
        bind: None,
        deadline: HANDSHAKE_WITHIN,
        socket: SocketConfig::APP,
    })
    .await;
    match dialled {
        // Nobody tells an app the time, so a certificate is only good at the time that this computer believes.
        Ok(dialled) if dialled.clock_doubtful => {
            let detail = "its certificate is not valid at this computer's time; set the clock, or renew the certificate";
            Err(Failed::Wrong(unreachable(&options, &detail)))
        }
        Ok(dialled) => Ok(dialled.socket),
        Err(error) => Err(failed(&options, &error)),
    }
}

/// What a failed dial means for an app.
fn failed(options: &Options, error: &DialError) -> Failed {
    let because = unreachable(options, error);
    match error {
        DialError::Http { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, body, .. } => {
            let problem = serde_json::from_slice::<Problem>(body).unwrap_or_else(|_| {
                let detail =
                    "the broker does not know the key (any more); make one with `inkwire admin key create`";
                ProblemKind::Unauthenticated.because(detail)
            });
            Failed::ForGood(Error::Refused(problem))
        }
        DialError::Http { status, retry_after, .. } => {
            let later = status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS;
            if later { Failed::Again(because, *retry_after) } else { Failed::Wrong(because) }
        }
        DialError::Url(_)
        | DialError::Pin(_)
        | DialError::Certificate(_)
        | DialError::Tls(_)
        | DialError::NotABroker(_) => Failed::Wrong(because),
        DialError::Resolve { .. }
        | DialError::Connect { .. }
        | DialError::TimedOut { .. }
        | DialError::Lost(_) => Failed::Again(because, None),
    }
}
