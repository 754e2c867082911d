//! mosquitto, from Debian.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::server::{Server, fill, free_address, version_of};
use super::tls::Certificates;

const WEBSOCKET: &str = include_str!("../../peers/mosquitto.conf");
const PROGRAM: &str = "/usr/sbin/mosquitto";
/// What the measurements speak of.
const VERSION: &str = "mosquitto version 2.";

/// A server with MQTT over TLS WebSockets.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    pub(crate) plain: SocketAddr,
    pub(crate) websockets: SocketAddr,
    pub(crate) server: Server,
    pub(crate) version: String,
}

impl Mosquitto {
    pub(crate) fn start(dir: &Path, tls: &Certificates) -> Result<Self> {
        let program = Path::new(PROGRAM);
        let version = version_of(program, &["-h"]).context("on Debian: apt-get install mosquitto")?;
        ensure!(version.starts_with(VERSION), "{PROGRAM} says `{version}`, not {VERSION}x");
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let (plain, websockets) = (free_address()?, free_address()?);
        let values = [
            ("plain", plain.port().to_string()),
            ("websockets", websockets.port().to_string()),
            ("certificate", tls.certificate.display().to_string()),
            ("key", tls.key.display().to_string()),
        ];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let config = dir.join("mosquitto.conf");
        std::fs::write(&config, fill(WEBSOCKET, &values)).context("the configuration")?;
        let args = ["-c".as_ref(), config.as_os_str()];
        let server = Server::start(program, args, &dir.join("mosquitto.log"), &[plain, websockets])?;
        Ok(Self { plain, websockets, server, version })
    }
}
