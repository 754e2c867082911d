//! A home router in user space: agents dial its LAN side, it dials the broker from its public address.
//!
//! ```text
//!  agent ──TCP──▶ LAN side 127.0.0.1:p ── mapping ── 127.0.0.21:q ──TCP──▶ broker
//!                                             │ another public address
//!                                             ▼
//!                          old mappings go silent, new ones begin at 127.0.0.22
//! ```
//!
//! A mapping that goes silent forwards nothing more and keeps both of its sockets open: neither end gets a FIN or an
//! RST, just as with a real router whose provider gave it another address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::records::Records;

/// What one read takes: the pacing's grain.
const CHUNK_BYTES: usize = 16 * 1024;
/// Small socket buffers, so that the router holds hardly more than a real one would.
const BUFFER_BYTES: u32 = 128 * 1024;
/// The broker answers a dial by then or the agent's connection is dropped.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// Nothing but a packet of a document makes a TLS record this large: handshakes and control messages stay below.
const PACKET_RECORD_BYTES: usize = 3 * 1024;
/// Notes that nobody has read yet; beyond it the router waits.
const NOTES: usize = 256;

/// How a router begins.
#[derive(Debug, Clone, Copy)]
pub struct RouterConfig {
    /// Where agents dial; port 0 for any.
    pub lan: SocketAddr,
    /// The broker.
    pub broker: SocketAddr,
    /// The public address to begin with.
    pub public: IpAddr,
    /// Bytes a second towards the agents, all mappings together; none for as fast as it goes.
    pub bytes_per_s: Option<u64>,
}

/// What a router notices. Times are since its start, so that they can be compared with each other.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// It listens.
    Listening {
        /// Where agents dial.
        lan: SocketAddr,
    },
    /// An agent dialled and the broker answered.
    Mapped {
        /// When the agent's connection was accepted.
        at_us: u64,
        /// The agent's own end.
        agent: SocketAddr,
        /// What the broker sees.
        public: SocketAddr,
    },
    /// It has another public address; every older mapping is silent from this instant.
    Moved {
        /// When.
        at_us: u64,
        /// The address before.
        from: IpAddr,
        /// The address from now on.
        to: IpAddr,
        /// Mappings that went silent.
        silenced: u64,
        /// Bytes that had gone to the agents by then.
        forwarded: u64,
    },
    /// The first packet of a document went to an agent over a mapping.
    FirstPacket {
        /// When.
        at_us: u64,
        /// The mapping, by what the broker sees.
        public: SocketAddr,
    },
    /// The broker could not be reached for a new mapping.
    Unreachable {
        /// Why.
        detail: String,
    },
}

/// A running router.
#[derive(Debug)]
pub struct Router {
    lan: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RouterConfig,
    started: Instant,
    public: watch::Sender<IpAddr>,
    live: AtomicU64,
    forwarded: AtomicU64,
    pace: Pace,
    notes: mpsc::Sender<Note>,
}

impl Router {
    /// Listens and forwards until `shutdown`. Notes must be read: the router waits for whoever reads them.
    ///
    /// # Errors
    /// Where the LAN side cannot be listened at.
    pub async fn start(
        config: RouterConfig,
        shutdown: CancellationToken,
    ) -> std::io::Result<(Self, mpsc::Receiver<Note>)> {
        let listener = TcpListener::bind(config.lan).await?;
        let lan = listener.local_addr()?;
        let (notes, read_notes) = mpsc::channel(NOTES);
        let (public, _) = watch::channel(config.public);
        let shared = Arc::new(Shared {
            config,
            started: Instant::now(),
            public,
            live: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            pace: Pace::new(config.bytes_per_s),
            notes,
        });
        tokio::spawn(accept(listener, Arc::clone(&shared), shutdown));
        Ok((Self { lan, shared }, read_notes))
    }

    /// Where agents dial.
    pub fn lan(&self) -> SocketAddr {
        self.lan
    }

    /// Bytes that went to the agents so far.
    pub fn forwarded(&self) -> u64 {
        self.shared.forwarded.load(Ordering::Relaxed)
    }

    /// Another pace towards the agents; none for as fast as it goes.
    pub fn set_pace(&self, bytes_per_s: Option<u64>) {
        self.shared.pace.bytes_per_s.store(bytes_per_s.unwrap_or(0), Ordering::Relaxed);
    }

    /// Takes another public address: all mappings go silent, new ones use the new address.
    pub async fn take_address(&self, to: IpAddr) {
        let shared = &self.shared;
        let from = shared.public.send_replace(to);
        let silenced = shared.live.swap(0, Ordering::Relaxed);
        shared
            .note(Note::Moved { at_us: shared.now_us(), from, to, silenced, forwarded: self.forwarded() })
            .await;
    }

    /// Waits until so many bytes have gone to the agents since now, then takes another public address.
    pub async fn take_address_after(&self, to: IpAddr, bytes: u64) {
        let until = self.forwarded().saturating_add(bytes);
        while self.forwarded() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.take_address(to).await;
    }
}

impl Shared {
    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nobody reads any more only when the router is being ended.
    async fn note(&self, note: Note) {
        if self.notes.send(note).await.is_err() {
            tracing::debug!("nobody reads the router's notes");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, shutdown: CancellationToken) {
    let mappings = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((agent, from)) => {
                let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
                mappings.spawn(async move {
                    tokio::select! {
                        () = map(agent, from, &shared) => {}
                        () = shutdown.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                shared.note(Note::Unreachable { detail: format!("cannot accept: {error}") }).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    mappings.close();
    mappings.wait().await;
}

/// One mapping, from the agent's dial until both ends have closed, or for ever once it is silent.
async fn map(agent: TcpStream, from: SocketAddr, shared: &Shared) {
    let at_us = shared.now_us();
    let mut moved = shared.public.subscribe();
    let public = *moved.borrow_and_update();
    let (broker, public) = match dial(public, shared.config.broker).await {
        Ok(dialled) => dialled,
        Err(error) => {
            return shared.note(Note::Unreachable { detail: error.to_string() }).await;
        }
    };
    shared.note(Note::Mapped { at_us, agent: from, public }).await;
    shared.live.fetch_add(1, Ordering::Relaxed);
    let (mut agent_in, mut agent_out) = agent.into_split();
    let (mut broker_in, mut broker_out) = broker.into_split();
    let over = {
        let down = towards_agent(&mut broker_in, &mut agent_out, public, shared);
        let up = forward(&mut agent_in, &mut broker_out);
        tokio::select! {
            biased;
            changed = moved.changed() => changed.is_err(),
            (_, _) = futures_util::future::join(up, down) => true,
        }
    };
    if over {
        shared.live.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    // Silent: the four halves stay open and nobody touches them.
    std::future::pending::<()>().await;
    drop((agent_in, agent_out, broker_in, broker_out));
}

async fn dial(public: IpAddr, broker: SocketAddr) -> std::io::Result<(TcpStream, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.bind(SocketAddr::new(public, 0))?;
    let stream = tokio::time::timeout(DIAL_WITHIN, socket.connect(broker)).await??;
    stream.set_nodelay(true)?;
    let public = stream.local_addr()?;
    Ok((stream, public))
}

/// Forwards until the end or an error, either of which is passed on as an end.
async fn forward(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(chunk.get(..read).unwrap_or_default()).await?;
    }
}

/// As [`forward`], paced, counted, and with an eye on the first packet.
async fn towards_agent(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    public: SocketAddr,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut records = Records::default();
    let mut seen = false;
    loop {
        let read = from.read(&mut chunk).await?;
        let data = chunk.get(..read).unwrap_or_default();
        if data.is_empty() {
            return to.shutdown().await;
        }
        shared.pace.take(data.len() as u64).await;
        if !seen && records.largest(data) >= PACKET_RECORD_BYTES {
            seen = true;
            shared.note(Note::FirstPacket { at_us: shared.now_us(), public }).await;
        }
        to.write_all(data).await?;
        shared.forwarded.fetch_add(data.len() as u64, Ordering::Relaxed);
    }
}

/// Spreads bytes over time.
#[derive(Debug)]
struct Pace {
    /// 0 for as fast as it goes.
    bytes_per_s: AtomicU64,
    /// When the next byte may go.
    free_at: Mutex<Instant>,
}

impl Pace {
    fn new(bytes_per_s: Option<u64>) -> Self {
        Self { bytes_per_s: AtomicU64::new(bytes_per_s.unwrap_or(0)), free_at: Mutex::new(Instant::now()) }
    }

    async fn take(&self, bytes: u64) {
        let until = {
            let mut free_at = self.free_at.lock().await;
            let begin = (*free_at).max(Instant::now());
            let seconds = match self.bytes_per_s.load(Ordering::Relaxed) {
                0 => return,
                rate => bytes as f64 / rate as f64,
            };
            *free_at = begin + Duration::from_secs_f64(seconds);
            begin
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests;
