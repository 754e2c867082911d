//! From no connection to a session, and back again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use inkwire_protocol::close::AfterClose;
use inkwire_protocol::ids::{AgentId, InstanceId, SessionToken};
use inkwire_protocol::message::{AGENT_PATH, AGENT_SUBPROTOCOL, DialRefused};
use inkwire_protocol::session::dial::{Dialler, Failure, Lost, When};
use inkwire_protocol::session::liveness::Liveness;
use inkwire_transport::{BrokerUrl, Closed, Dial, DialError, Dialled, SocketConfig};
use jsonwebtoken::EncodingKey;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::greeting::{Greeted, NotGreeted, greet};
use super::network::Watcher;
use super::session::Session;
use super::{Connection, LinkCommand, LinkEvent, SessionNumber, token};
use crate::limits::{DIAL_WITHIN, HOURLY, MAX_PARALLEL_DIALS};
use crate::shared::Shared;
use crate::spool::Change;

/// What dialling needs to know.
pub(crate) struct Link {
    pub(crate) url: BrokerUrl,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) agent: AgentId,
    pub(crate) key: EncodingKey,
    pub(crate) instance: InstanceId,
    /// The session to take up again.
    pub(crate) token: Option<SessionToken>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: mpsc::Sender<LinkEvent>,
    pub(crate) commands: mpsc::Receiver<LinkCommand>,
    pub(crate) stop: CancellationToken,
}

type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Dialled, Failed>> + Send + 'a>>;
type Greeting = Pin<Box<dyn Future<Output = Result<Greeted, NotGreeted>> + Send>>;

/// An attempt without a connection.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("no dial token: {0}")]
    Token(String),
}

impl Link {
    /// Runs until it is told to stop, or nobody takes its events any more.
    pub(crate) async fn run(mut self) {
        let mut dialler = Dialler::new(Instant::now());
        let mut network = Watcher::new();
        let mut before: Option<Liveness> = None;
        let mut number = SessionNumber::default();
        while let Some(greeted) = self.connect(&mut dialler, &mut network).await {
            number.0 += 1;
            let now = Instant::now();
            dialler.on_connected(now);
            self.token = Some(greeted.welcome.session.clone());
            let (lost, liveness) = self.hold(greeted, number, before.as_ref(), &mut network).await;
            before = Some(liveness);
            if self.events.send(LinkEvent::Offline).await.is_err() || self.stop.is_cancelled() {
                return;
            }
            dialler.on_lost(Instant::now(), lost);
        }
    }

    /// Holds a session until it is lost.
    async fn hold(
        &mut self,
        greeted: Greeted,
        number: SessionNumber,
        before: Option<&Liveness>,
        network: &mut Watcher,
    ) -> (Lost, Liveness) {
        let (epoch, endpoint) = (greeted.welcome.epoch, greeted.welcome.observed_endpoint);
        let (resumed, name) = (greeted.welcome.resumed, greeted.welcome.agent_name.clone());
        tracing::info!(%epoch, %endpoint, resumed, name, "connected");
        self.shared.link.send_replace(Connection::Connected {
            since_ms: self.shared.clock.now_ms(),
            observed_endpoint: endpoint,
            epoch: epoch.0,
        });
        if let Some(ms) = self.shared.clock.correct(greeted.welcome.broker_time_ms)
            && let Err(error) = self.shared.ledger.lazily(Change::ClockOffset { ms }).await
        {
            tracing::debug!(%error, "the clock's offset is not remembered");
        }
        let session = Session::new(greeted, number, before, Arc::clone(&self.shared), self.events.clone());
        let (lost, liveness) = session.run(&mut self.commands, network, &self.stop).await;
        tracing::info!(%epoch, reason = %describe(&lost), "disconnected");
        let since_ms = self.shared.clock.now_ms();
        self.shared.link.send_replace(Connection::Trying { since_ms, trouble: Some(describe(&lost)) });
        (lost, liveness)
    }

    /// Dials until a session has begun; `None` when told to stop.
    async fn connect(&self, dialler: &mut Dialler, network: &mut Watcher) -> Option<Greeted> {
        let mut dials: FuturesUnordered<Attempt<'_>> = FuturesUnordered::new();
        let mut greeting: Option<(Instant, Greeting)> = None;
        let mut told = None;
        loop {
            let now = Instant::now();
            let when = dialler.next(now, self.shared.is_urgent(), rand::random());
            if when == When::Now && dials.len() < MAX_PARALLEL_DIALS {
                dialler.on_attempt(now);
                dials.push(Box::pin(self.attempt()));
                continue;
            }
            let until = match when {
                When::At(at) => at.min(now + LOOK_AGAIN),
                When::Now | When::Wait => now + LOOK_AGAIN,
            };
            tokio::select! {
                () = self.stop.cancelled() => return None,
                Some(dialled) = dials.next() => match dialled {
                    Ok(dialled) if greeting.as_ref().is_none_or(|(since, _)| since.elapsed() > PATIENCE) => {
                        let (shared, token) = (Arc::clone(&self.shared), self.token.clone());
                        let greet = Box::pin(greet(dialled, shared, self.instance, token));
                        greeting = Some((Instant::now(), greet));
                    }
                    // One that came a moment later than the one that is being greeted.
                    Ok(_) => dialler.on_failure(Instant::now(), Failure::Unreachable),
                    Err(failed) => {
                        let failure = self.failure(&failed);
                        self.trouble(&mut told, &failed);
                        dialler.on_failure(Instant::now(), failure);
                    }
                },
                greeted = async {
                    match &mut greeting {
                        Some((_, greeting)) => greeting.await,
                        None => std::future::pending().await,
                    }
                } => {
                    greeting = None;
                    match greeted {
                        Ok(greeted) => return Some(greeted),
                        Err(error) => {
                            self.trouble(&mut told, &error);
                            not_greeted(dialler, &error);
                        }
                    }
                }
                () = network.changed() => dialler.on_hope(Instant::now()),
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    /// One attempt: a number that is on stable storage, a token that is signed with it, a dial.
    async fn attempt(&self) -> Result<Dialled, Failed> {
        let no_token = |error: &dyn std::fmt::Display| Failed::Token(error.to_string());
        let committed =
            self.shared.ledger.commit(vec![Change::Dial]).await.map_err(|error| no_token(&error))?;
        let (n, now_ms) = (committed.dial_n, self.shared.clock.now_ms());
        let token = token::sign(&self.key, self.agent, n, now_ms, self.token.as_ref())
            .map_err(|error| no_token(&error))?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| no_token(&error))?;
        bearer.set_sensitive(true);
        let clock = self.shared.clock.tls();
        let dial = Dial {
            url: &self.url,
            tls: Arc::clone(&self.tls),
            clock: &clock,
            path: AGENT_PATH,
            subprotocol: AGENT_SUBPROTOCOL,
            headers: HeaderMap::from_iter([(AUTHORIZATION, bearer)]),
            bind: None,
            deadline: DIAL_WITHIN,
            socket: SocketConfig::AGENT,
        };
        tracing::debug!(n, "dialling");
        Ok(inkwire_transport::dial(dial).await?)
    }

    /// Why there is no session, for the log and for people at this PC.
    fn trouble(&self, told: &mut Option<String>, error: &(dyn std::error::Error + 'static)) {
        self.shared.link.send_if_modified(|link| {
            let Connection::Trying { trouble, .. } = link else { return false };
            let news = trouble.replace(error.to_string());
            news != *trouble
        });
        tell(told, error);
    }

    /// What an attempt's end means for the next; a refusal tells the broker's time.
    fn failure(&self, failed: &Failed) -> Failure {
        let Failed::Dial(error) = failed else { return Failure::Unreachable };
        if let DialError::Http { retry_after, body, .. } = error
            && let Ok(refused) = serde_json::from_slice::<DialRefused>(body.as_ref())
        {
            self.shared.clock.correct(refused.broker_time_ms);
            return Failure::Refused { error: refused.error, retry_after: *retry_after };
        }
        match error.retry() {
            AfterClose::Reconnect => Failure::Unreachable,
            AfterClose::ReconnectAfter(wait) => Failure::Unavailable { retry_after: Some(wait) },
            AfterClose::Hourly => Failure::Unavailable { retry_after: Some(HOURLY) },
        }
    }
}

/// How often urgency is looked at while nothing else happens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A greeting that takes longer than this gives way to a newer connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// A close instead of `welcome` counts like one after it.
fn not_greeted(dialler: &mut Dialler, error: &NotGreeted) {
    let now = Instant::now();
    let lost = match error {
        NotGreeted::Closed(Closed::Said { code, .. }) => Lost::Closed { code: *code, retry_after: None },
        NotGreeted::Refused { code, .. } => Lost::Closed { code: *code, retry_after: None },
        NotGreeted::Closed(Closed::Lost(_)) | NotGreeted::TimedOut(_) => {
            return dialler.on_failure(now, Failure::Unreachable);
        }
    };
    dialler.on_connected(now);
    dialler.on_lost(now, lost);
}

/// Each kind of trouble is told once until a session has begun.
fn tell(told: &mut Option<String>, error: &(dyn std::error::Error + 'static)) {
    let text = error.to_string();
    if told.as_ref() == Some(&text) {
        tracing::debug!(error = text, "no session");
    } else {
        tracing::warn!(error = text, "no session with the broker; it is tried again");
        *told = Some(text);
    }
}

fn describe(lost: &Lost) -> String {
    match lost {
        Lost::PathDead => "the path is dead".into(),
        Lost::Broken => "the connection broke".into(),
        Lost::Closed { code, .. } => code.name().into(),
    }
}
