//! Sessions at mosquitto: MQTT 3.1.1 (OASIS, mqtt-v3.1.1-os), subscribed with QoS 1.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{DOCUMENT_BYTES, Host, Life, SIGN_OF_LIFE, source};
use crate::peers::mosquitto::Mosquitto;
use crate::peers::websocket::WebSocket;

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const PINGREQ: &[u8] = &[0xc0, 0];
const PINGRESP: &[u8] = &[0xd0, 0];
/// A server gives a client up after one and a half of this without a word.
const KEEP_ALIVE_S: u16 = 60;
/// Packet identifiers of the one subscription and of every publication; nobody has two at once.
const PACKET_ID: [u8; 2] = [0, 1];

/// Clients with one subscription each.
#[derive(Debug)]
pub(crate) struct MqttClients {
    pub(crate) mosquitto: Mosquitto,
    tls: Arc<ClientConfig>,
}

impl MqttClients {
    pub(crate) fn new(mosquitto: Mosquitto, tls: Arc<ClientConfig>) -> Self {
        Self { mosquitto, tls }
    }
}

impl Host for MqttClients {
    fn pid(&self) -> u32 {
        self.mosquitto.server.id()
    }

    fn restart(&mut self) -> Result<()> {
        self.mosquitto.server.restart()
    }

    async fn connect(&self, number: usize, first_after: Duration, taken: mpsc::Sender<()>) -> Result<Life> {
        let mut socket =
            WebSocket::dial(self.mosquitto.websockets, source(number), &self.tls, Some("mqtt")).await?;
        socket.send(connect(&format!("session{number}"))).await?;
        ensure!(socket.next().await?.as_ref() == CONNACK, "mosquitto takes no session");
        let topic = text(&topic(number));
        socket.send(packet(0x82, &[&PACKET_ID, topic.as_slice(), &[1]].concat())).await?;
        ensure!(socket.next().await?.first() == Some(&0x90), "mosquitto takes no subscription");
        Ok(Box::pin(live(socket, number, first_after, taken)))
    }

    async fn documents(&self, sessions: usize) -> Result<()> {
        let mut stream = TcpStream::connect(self.mosquitto.plain).await.context("mosquitto")?;
        stream.write_all(&connect("publisher")).await.context("mosquitto")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.context("mosquitto")?;
        ensure!(answer == CONNACK, "mosquitto takes no publisher");
        let document = vec![7; DOCUMENT_BYTES];
        for number in 0..sessions {
            let head = [text(&topic(number)).as_slice(), &PACKET_ID].concat();
            stream
                .write_all(&packet(0x32, &[head, document.clone()].concat()))
                .await
                .context("publishing")?;
            stream.read_exact(&mut answer).await.context("the acknowledgement")?;
            ensure!(answer[0] == 0x40, "mosquitto does not acknowledge");
        }
        Ok(())
    }
}

async fn live(
    mut socket: WebSocket,
    number: usize,
    first_after: Duration,
    taken: mpsc::Sender<()>,
) -> Result<()> {
    // Head, topic, packet identifier, document; the length takes three bytes.
    let whole = 4 + text(&topic(number)).len() + PACKET_ID.len() + DOCUMENT_BYTES;
    let at = whole - DOCUMENT_BYTES - PACKET_ID.len();
    let mut due = Instant::now() + first_after;
    let (mut came, mut head) = (0, Vec::new());
    loop {
        tokio::select! {
            message = socket.next() => {
                let message = message?;
                if came == 0 && message.as_ref() == PINGRESP {
                    continue;
                }
                came += message.len();
                head.extend_from_slice(&message[..message.len().min(at + 2 - head.len().min(at + 2))]);
                if came >= whole {
                    let id = head.get(at..at + 2).context("a publication has its identifier")?;
                    socket.send(packet(0x40, id)).await?;
                    (came, head) = (0, Vec::new());
                    taken.send(()).await.context("nobody counts documents")?;
                }
            }
            () = tokio::time::sleep_until(due) => {
                due += SIGN_OF_LIFE;
                socket.send(PINGREQ).await?;
            }
        }
    }
}

fn topic(number: usize) -> String {
    format!("documents/{number}")
}

/// A clean session (section 3.1).
fn connect(client: &str) -> Vec<u8> {
    let [high, low] = KEEP_ALIVE_S.to_be_bytes();
    packet(0x10, &[text("MQTT").as_slice(), &[4, 0x02, high, low], text(client).as_slice()].concat())
}

/// A string with its length before it (section 1.5.3).
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A control packet: its kind, the length of the rest in groups of seven bits (section 2.2.3), the rest.
fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    let mut length = rest.len();
    loop {
        let group = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { group | 0x80 } else { group });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_standard_says() {
        assert_eq!(packet(0x10, &[9; 127])[..2], [0x10, 0x7f]);
        assert_eq!(packet(0x10, &[9; 128])[..3], [0x10, 0x80, 0x01]);
        assert_eq!(packet(0x10, &[9; 16_384])[..4], [0x10, 0x80, 0x80, 0x01]);
        assert_eq!(text("MQTT"), [0, 4, b'M', b'Q', b'T', b'T']);
    }
}
