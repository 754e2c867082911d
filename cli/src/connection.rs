//! Which broker, and as whom: the command line, then the environment, then `inkwire login`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use inkwire_client::{BrokerUrl, Client, Options};

use crate::exit::Failure;
use crate::login;

/// A command gives up on a broker that cannot be reached after this.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// What this process has connected with. A command drops its client on every way out, also by `?`; this outlives it.
static OPENED: Mutex<Vec<Options>> = Mutex::new(Vec::new());
/// A close frame and its answer take a round trip; who is slower than this is told nothing more.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Connects; [`farewell`] waits for this connection's end.
pub(crate) async fn connect(options: Options) -> Result<Client, Failure> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner).push(options.clone());
    Ok(Client::with(options).await?)
}

/// Waits until the connections of a command that has ended are closed in order.
pub(crate) async fn farewell() {
    let opened = std::mem::take(&mut *OPENED.lock().unwrap_or_else(PoisonError::into_inner));
    let all = async {
        for options in opened {
            options.farewell().await;
        }
    };
    if tokio::time::timeout(FAREWELL_WITHIN, all).await.is_err() {
        tracing::debug!("the broker did not answer the farewell in time");
    }
}

/// Options of every command that talks to a broker as an app.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// The broker's address with its pin, as the broker prints it
    #[arg(long, value_name = "URL#sha256=..", env = "INKWIRE_URL", global = true)]
    broker: Option<String>,
    /// An API key
    #[arg(long, value_name = "KEY", env = "INKWIRE_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(&self) -> Result<Client, Failure> {
        let (url, key) = self.resolve()?;
        let mut options = Options::new(url, key);
        options.connect_within = CONNECT_WITHIN;
        connect(options).await
    }

    /// The address and the key, wherever they come from.
    pub(crate) fn resolve(&self) -> Result<(BrokerUrl, String), Failure> {
        let saved = match (&self.broker, &self.key) {
            (Some(_), Some(_)) => None,
            (Some(_), None) | (None, _) => login::read()?,
        };
        let (saved_url, saved_key) = saved.map(|login| (login.url, login.key)).unzip();
        let url = self.broker.clone().or(saved_url.clone()).ok_or_else(|| {
            Failure::usage(
                "no broker is named: use --broker or INKWIRE_URL, or sign in once with `inkwire login`",
            )
        })?;
        let url = parse_url(&url)?;
        // A remembered key is for the remembered broker only: it is never shown to another.
        let same = match &saved_url {
            Some(saved) => parse_url(saved)? == url,
            None => false,
        };
        let key = self.key.clone().or(saved_key.filter(|_| same)).ok_or_else(|| {
            Failure::usage(format!(
                "no key for {}: use --key or INKWIRE_KEY, or sign in with `inkwire login`",
                url.origin()
            ))
        })?;
        Ok((url, key))
    }

    /// What the command line itself says, for `login`.
    pub(crate) fn given(&self) -> (Option<&str>, Option<&str>) {
        (self.broker.as_deref(), self.key.as_deref())
    }
}

/// A broker's address.
pub(crate) fn parse_url(text: &str) -> Result<BrokerUrl, Failure> {
    text.parse().map_err(Failure::usage)
}
