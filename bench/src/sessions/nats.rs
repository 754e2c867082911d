//! Sessions at nats-server: its protocol is lines of text (docs.nats.io, "Client Protocol").

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{DOCUMENT_BYTES, Host, Life, SIGN_OF_LIFE, source};
use crate::peers::nats::Nats;
use crate::peers::websocket::WebSocket;

/// Clients with one subscription each.
#[derive(Debug)]
pub(crate) struct NatsClients {
    pub(crate) nats: Nats,
    websocket: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl NatsClients {
    pub(crate) fn new(nats: Nats, websocket: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self { nats, websocket, tls }
    }
}

impl Host for NatsClients {
    fn pid(&self) -> u32 {
        self.nats.server.id()
    }

    fn restart(&mut self) -> Result<()> {
        self.nats.server.restart()
    }

    async fn connect(&self, number: usize, first_after: Duration, taken: mpsc::Sender<()>) -> Result<Life> {
        let mut socket = WebSocket::dial(self.websocket, source(number), &self.tls, None).await?;
        let info = socket.next().await?;
        ensure!(info.starts_with(b"INFO "), "nats-server does not begin with INFO");
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\",\"version\":\"1\",\"protocol\":1}}\r\n\
             SUB documents.{number} 1\r\nPING\r\n"
        );
        socket.send(hello.into_bytes()).await?;
        socket.until(b"PONG\r\n").await?;
        Ok(Box::pin(live(socket, first_after, taken)))
    }

    async fn documents(&self, sessions: usize) -> Result<()> {
        let publisher = self.nats.connect_plain().await?;
        let document = bytes::Bytes::from(vec![7; DOCUMENT_BYTES]);
        for number in 0..sessions {
            publisher.publish(format!("documents.{number}"), document.clone()).await.context("publishing")?;
        }
        publisher.flush().await.context("publishing")
    }
}

async fn live(mut socket: WebSocket, first_after: Duration, taken: mpsc::Sender<()>) -> Result<()> {
    let mut due = Instant::now() + first_after;
    let mut came = 0;
    loop {
        tokio::select! {
            message = socket.next() => {
                let message = message?;
                if message.as_ref() == b"PING\r\n" {
                    socket.send("PONG\r\n").await?;
                } else if message.as_ref() != b"PONG\r\n" {
                    let before = came;
                    came += message.len();
                    if before < DOCUMENT_BYTES && came >= DOCUMENT_BYTES {
                        taken.send(()).await.context("nobody counts documents")?;
                    }
                }
            }
            () = tokio::time::sleep_until(due) => {
                due += SIGN_OF_LIFE;
                socket.send("PING\r\n").await?;
            }
        }
    }
}
