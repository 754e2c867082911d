//! nats-server 2.15, by full path: the `nats-server` on the PATH may be a much older one.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::server::{Server, fill, free_address, version_of};
use super::tls::Certificates;
use crate::programs::Programs;

const WEBSOCKET: &str = include_str!("../../peers/nats-websocket.conf");
const JETSTREAM: &str = include_str!("../../peers/nats-jetstream.conf");
/// What the measurements speak of.
const VERSION: &str = "v2.15.";

/// A server.
#[derive(Debug)]
pub(crate) struct Nats {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) version: String,
}

impl Nats {
    /// JetStream on TLS. `sync` is its `sync_interval`: "always", or a time.
    pub(crate) fn jetstream(programs: &Programs, dir: &Path, tls: &Certificates, sync: &str) -> Result<Self> {
        let store = dir.join("store").display().to_string();
        let more = [("store", store.as_str()), ("sync", sync)];
        Self::start(programs, dir, tls, (JETSTREAM, &more), None)
    }

    /// Without JetStream, on TLS WebSockets beside a plain port.
    pub(crate) fn websocket(
        programs: &Programs,
        dir: &Path,
        tls: &Certificates,
    ) -> Result<(Self, SocketAddr)> {
        let websocket = free_address()?;
        let address = websocket.to_string();
        let more = [("websocket", address.as_str())];
        let this = Self::start(programs, dir, tls, (WEBSOCKET, &more), Some(websocket))?;
        Ok((this, websocket))
    }

    fn start(
        programs: &Programs,
        dir: &Path,
        tls: &Certificates,
        (template, more): (&str, &[(&str, &str)]),
        websocket: Option<SocketAddr>,
    ) -> Result<Self> {
        let version = version_of(&programs.nats, &["--version"])?;
        ensure!(
            version.contains(VERSION),
            "{} says `{version}`, not {VERSION}x: install it with `cargo xtask bench`",
            programs.nats.display()
        );
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let address = free_address()?;
        let listen = address.to_string();
        let (certificate, key) = (tls.certificate.display().to_string(), tls.key.display().to_string());
        let values = [("listen", listen.as_str()), ("certificate", &certificate), ("key", &key)];
        let config = dir.join("nats.conf");
        let text = fill(&fill(template, &values), more);
        std::fs::write(&config, text).context("the configuration")?;
        let listens: Vec<_> = [Some(address), websocket].into_iter().flatten().collect();
        let args = ["--config".as_ref(), config.as_os_str()];
        let server = Server::start(&programs.nats, args, &dir.join("nats.log"), &listens)?;
        Ok(Self { address, server, version })
    }

    /// A client's connection, as its library makes it by default.
    pub(crate) async fn connect(&self, tls: &Certificates) -> Result<async_nats::Client> {
        async_nats::ConnectOptions::new()
            .require_tls(true)
            .tls_client_config(tls.client.as_ref().clone())
            .connect(format!("tls://localhost:{}", self.address.port()))
            .await
            .context("nats-server takes no client")
    }

    /// A client's connection to a port without TLS.
    pub(crate) async fn connect_plain(&self) -> Result<async_nats::Client> {
        async_nats::connect(format!("nats://{}", self.address)).await.context("nats-server takes no client")
    }
}
