//! Pairing: the agent shows a code, somebody with the right types it at the broker, and the agent is somebody.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AgentId, Sha256Digest};
use inkwire_protocol::limits::{HELLO_WITHIN, PAIRING_LIFETIME};
use inkwire_protocol::message::{FromPairing, PAIR_PATH, PAIR_SUBPROTOCOL, ToPairing, pairing_proof};
use inkwire_service::Secret;
use inkwire_transport::{
    BrokerUrl, ClockOffset, Dial, DialError, DialIo, Dialled, Ready, Socket, SocketConfig, TlsSetupError,
    Trust,
};

use crate::identity::{self, DeviceKey, Identity, IdentityError};
use crate::limits::DIAL_WITHIN;

/// What to pair.
#[derive(Debug)]
pub struct PairRequest {
    /// The broker, with the pin of its authority.
    pub url: BrokerUrl,
    /// Where the identity is written; no agent may run with it.
    pub state_dir: PathBuf,
    /// A one-use enrolment token: then no code is shown and nobody approves.
    pub enrolment: Option<Secret>,
}

/// What to show to whoever approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// Eight characters with a hyphen in the middle.
    pub code: String,
    /// SHA-256 of this agent's public key; the broker must show the same.
    pub fingerprint: Sha256Digest,
    /// How long the code is good for.
    pub expires_in: Duration,
    /// Where the broker sees this agent.
    pub observed_endpoint: SocketAddr,
}

/// The agent is somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// Its id.
    pub agent: AgentId,
    /// Its name at the broker.
    pub agent_name: String,
    /// The account that it belongs to.
    pub account_name: String,
    /// SHA-256 of its public key.
    pub fingerprint: Sha256Digest,
}

/// Why pairing failed; the state directory is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The broker cannot be reached, or is not the one that the pin names.
    #[error("cannot reach {url}: {source}")]
    Dial {
        /// The broker.
        url: String,
        /// Why.
        source: DialError,
    },
    /// The broker said no.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The connection ended before an answer.
    #[error("the broker hung up before pairing was done ({0}): try again")]
    Closed(String),
    /// The broker does not speak as expected.
    #[error("the broker says something that pairing does not know ({0}): update the older side")]
    NotUnderstood(String),
    /// Nobody approved in time.
    #[error("nobody approved within {} minutes: try again", .0.as_secs() / 60)]
    TimedOut(Duration),
    /// The broker's certificate is not valid.
    #[error(transparent)]
    Certificate(#[from] inkwire_transport::NotValid),
}

/// Pairs and writes the identity. `on_code` is called when there is a code to show; then this waits until somebody approves.
///
/// A new device key is made each time. Cancel by dropping.
///
/// # Errors
/// See [`PairError`]; each names its remedy.
pub async fn pair(request: PairRequest, on_code: impl Fn(&PairingCode) + Send) -> Result<Paired, PairError> {
    let _lock = identity::lock(&request.state_dir)?;
    let key = DeviceKey::generate()?;
    let clock = Arc::new(ClockOffset::new());
    let tls = inkwire_transport::client_config(Trust::of(&request.url), Arc::clone(&clock))?;
    let dial = Dial {
        url: &request.url,
        tls,
        clock: &clock,
        path: PAIR_PATH,
        subprotocol: PAIR_SUBPROTOCOL,
        headers: HeaderMap::new(),
        bind: None,
        deadline: DIAL_WITHIN,
        socket: SocketConfig::AGENT,
    };
    let dialled = inkwire_transport::dial(dial)
        .await
        .map_err(|source| PairError::Dial { url: request.url.origin(), source })?;
    let patience = PAIRING_LIFETIME + HELLO_WITHIN;
    let talk = talk(dialled, &key, request.enrolment.as_ref(), &on_code);
    let identity =
        tokio::time::timeout(patience, talk).await.map_err(|_| PairError::TimedOut(patience))??;
    let identity = Identity { url: request.url.to_string(), ..identity };
    identity::store(&request.state_dir, &key, &identity)?;
    Ok(Paired {
        agent: identity.agent,
        agent_name: identity.agent_name,
        account_name: identity.account_name,
        fingerprint: identity.fingerprint,
    })
}

async fn talk(
    dialled: Dialled,
    key: &DeviceKey,
    enrolment: Option<&Secret>,
    on_code: &(impl Fn(&PairingCode) + Send),
) -> Result<Identity, PairError> {
    let mut socket = dialled.socket;
    loop {
        match hear(&mut socket).await? {
            FromPairing::Challenge { nonce } => say(&mut socket, &ask(key, &nonce, enrolment))?,
            FromPairing::Code { code, expires_in_s, observed_endpoint } => on_code(&PairingCode {
                code,
                fingerprint: key.fingerprint(),
                expires_in: Duration::from_secs(expires_in_s),
                observed_endpoint,
            }),
            FromPairing::Paired { agent, agent_name, account_name, broker_time_ms } => {
                if dialled.clock_doubtful {
                    dialled.certificates.check_validity(Duration::from_millis(broker_time_ms))?;
                }
                socket.close(CloseCode::Normal, "").await;
                let fingerprint = key.fingerprint();
                return Ok(Identity { agent, agent_name, account_name, url: String::new(), fingerprint });
            }
            FromPairing::Refused { reason } => return Err(PairError::Refused(reason)),
            FromPairing::Unknown => tracing::debug!("the broker says something new while pairing"),
        }
    }
}

fn ask(key: &DeviceKey, nonce: &str, enrolment: Option<&Secret>) -> ToPairing {
    let public_key = key.public();
    ToPairing::Pair {
        proof: key.sign(&pairing_proof(nonce, &public_key)),
        public_key,
        hostname: identity::hostname(),
        os: identity::os(),
        version: env!("CARGO_PKG_VERSION").into(),
        enrolment: enrolment.map(|secret| secret.reveal().to_owned()),
    }
}

fn say(socket: &mut Socket<DialIo>, message: &ToPairing) -> Result<(), PairError> {
    let text = serde_json::to_string(message).map_err(|error| PairError::NotUnderstood(error.to_string()))?;
    socket.queue_text(text).map_err(|full| PairError::Closed(full.to_string()))
}

async fn hear(socket: &mut Socket<DialIo>) -> Result<FromPairing, PairError> {
    loop {
        match socket.ready(false).await {
            Ready::Text(text) => {
                return serde_json::from_str(&text)
                    .map_err(|error| PairError::NotUnderstood(error.to_string()));
            }
            Ready::Closed(closed) => return Err(PairError::Closed(closed.to_string())),
            Ready::Binary(_) => return Err(PairError::NotUnderstood("a binary message".into())),
            Ready::Pong { .. } | Ready::Writable => {}
        }
    }
}
