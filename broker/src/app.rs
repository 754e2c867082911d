//! The broker as a whole: starts its rooms, watches over them, and ends them in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use inkwire_protocol::ids::Sha256Digest;
use inkwire_transport::BrokerUrl;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    url: BrokerUrl,
    pin: Sha256Digest,
    sign_in: Option<String>,
    admin_socket: PathBuf,
    running: JoinHandle<Result<(), RunError>>,
}

/// Why a broker does not start; names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not finished yet.
    #[error("not yet")]
    NotYet,
}

/// Why a broker stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part of it ended.
    #[error("the broker's {0} ended unasked")]
    Ended(&'static str),
}

impl Broker {
    /// Starts a broker: makes what is missing in an empty data folder, opens the store, and serves when this returns.
    /// Cancelling `shutdown` drains it: agents are told to come back, commits are finished, then it stops.
    pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Self, StartError> {
        drop((config, shutdown));
        Err(StartError::NotYet)
    }

    /// Where it listens (the first address; its port is the real one where 0 was asked for).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How agents and apps reach it, with the pin of its certificate authority: what `inkwire agent pair` takes.
    pub fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// The pin alone.
    pub fn pin(&self) -> Sha256Digest {
        self.pin
    }

    /// The one-time sign-in link (15 minutes) that a first start makes: `https://host:port/sign-in?token=...#sha256=...`.
    pub fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    /// The admin socket.
    pub fn admin_socket(&self) -> &Path {
        &self.admin_socket
    }

    /// Waits until it has stopped: well, because it was asked to, or with the reason.
    pub async fn stopped(self) -> Result<(), RunError> {
        self.running.await.unwrap_or(Err(RunError::Ended("supervisor")))
    }
}
