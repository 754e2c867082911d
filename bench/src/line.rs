//! A line between an agent and the broker, in user space: each byte is under way for some time, and the line can be cut as a
//! NAT box cuts it: in silence. What was under way is gone, connections from before the cut never carry anything again, and
//! while the line is down new ones are not answered.
//!
//! The three packets of TCP's own handshake cost what they would cost on such a line: a round trip before the first byte.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::followers::now_ms;

/// What may be under way each way; then the sender waits, as on a line with a queue.
const UNDER_WAY_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 64 * 1024;

/// One cut, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub(crate) at_ms: f64,
    /// When the line carried again.
    pub(crate) back_ms: f64,
    /// When the agent first dialled, whether or not it got through.
    pub(crate) dialled_ms: Option<f64>,
    /// When the first dial began that got through.
    pub(crate) through_ms: Option<f64>,
}

#[derive(Debug, Default)]
struct State {
    cuts: Vec<Cut>,
    /// Cut after so many more bytes towards the agent, and carry again so long after.
    armed: Option<(usize, Duration)>,
    carries_from: Option<Instant>,
}

/// A running line; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _listening: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    delay: Duration,
    state: Mutex<State>,
    /// How many cuts there were: connections end with the next one.
    generation: watch::Sender<usize>,
}

impl Line {
    /// A line to this address; every byte takes `delay`.
    pub(crate) async fn to(broker: SocketAddr, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr().context("a listener has an address")?;
        let shared = Arc::new(Shared { delay, state: Mutex::default(), generation: watch::Sender::new(0) });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, broker, Arc::clone(&shared)));
        Ok(Self { address, shared, _listening: listening })
    }

    /// Cuts after so many more bytes towards the agent; the line carries again `gap` later.
    pub(crate) fn arm(&self, after_bytes: usize, gap: Duration) {
        self.shared.lock().armed = Some((after_bytes, gap));
    }

    /// All cuts so far.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        self.shared.lock().cuts.clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody dials. Says whether it gets through.
    fn dialled(&self) -> bool {
        let mut state = self.lock();
        let carries = state.carries_from.is_none_or(|from| Instant::now() >= from);
        if let Some(cut) = state.cuts.last_mut() {
            let now = now_ms();
            cut.dialled_ms.get_or_insert(now);
            if carries {
                cut.through_ms.get_or_insert(now);
            }
        }
        carries
    }

    /// So many bytes are about to reach the agent; false where the line is cut before them.
    fn passes(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let Some((left, gap)) = state.armed else { return true };
        if bytes < left {
            state.armed = Some((left - bytes, gap));
            return true;
        }
        state.armed = None;
        state.carries_from = Some(Instant::now() + gap);
        let at_ms = now_ms();
        let back_ms = at_ms + gap.as_secs_f64() * 1e3;
        state.cuts.push(Cut { at_ms, back_ms, dialled_ms: None, through_ms: None });
        self.generation.send_modify(|generation| *generation += 1);
        false
    }
}

async fn listen(listener: TcpListener, broker: SocketAddr, shared: Arc<Shared>) {
    let mut carried = JoinSet::new();
    while let Ok((agent, _)) = listener.accept().await {
        let through = shared.dialled();
        carried.spawn(connection(agent, broker, Arc::clone(&shared), through));
    }
}

/// One connection, until it ends or the line is cut; then it stands in silence until the next cut, when both ends have given it up
/// long ago: a reset would tell them what a real line does not.
async fn connection(agent: TcpStream, broker: SocketAddr, shared: Arc<Shared>, through: bool) {
    let mut generation = shared.generation.subscribe();
    let silent = |mut generation: watch::Receiver<usize>| async move {
        let _line_ended = generation.changed().await;
    };
    generation.mark_unchanged();
    if !through {
        return silent(generation).await;
    }
    let begun = Instant::now();
    sleep(shared.delay).await;
    // A broker that takes no connection is noticed by the agent, which dials again.
    let Ok(server) = TcpStream::connect(broker).await else { return };
    if agent.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let ((from_agent, to_agent), (from_broker, to_broker)) = (agent.into_split(), server.into_split());
    let mut up = Way { shared: &shared, to: to_broker, not_before: begun + 3 * shared.delay, counted: false };
    let mut down = Way { shared: &shared, to: to_agent, not_before: begun, counted: true };
    tokio::select! {
        () = async { tokio::join!(up.carry(from_agent), down.carry(from_broker)); } => return,
        cut = generation.changed() => if cut.is_err() { return },
    }
    silent(generation).await;
}

/// One direction of a connection.
struct Way<'a> {
    shared: &'a Shared,
    to: OwnedWriteHalf,
    not_before: Instant,
    /// Whether its bytes bring the cut nearer.
    counted: bool,
}

impl Way<'_> {
    /// Carries until the sender closes and all has been handed on.
    async fn carry(&mut self, mut from: OwnedReadHalf) {
        let mut under_way: VecDeque<(Instant, Bytes)> = VecDeque::new();
        let (mut bytes, mut open) = (0, true);
        let mut buffer = vec![0; READ_BYTES];
        while open || !under_way.is_empty() {
            let due = under_way.front().map(|(due, _)| *due);
            tokio::select! {
                read = from.read(&mut buffer), if open && bytes < UNDER_WAY_BYTES => {
                    let read = read.unwrap_or(0);
                    open = read > 0;
                    bytes += read;
                    let due = (Instant::now() + self.shared.delay).max(self.not_before);
                    under_way.push_back((due, Bytes::copy_from_slice(&buffer[..read])));
                }
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    let Some((_, piece)) = under_way.pop_front() else { continue };
                    bytes -= piece.len();
                    if self.counted && !self.shared.passes(piece.len()) {
                        // The connection ends with the cut, at its next turn.
                        return std::future::pending().await;
                    }
                    let handed = if piece.is_empty() { self.to.shutdown().await } else { self.to.write_all(&piece).await };
                    if handed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
        let mut got = vec![0; bytes];
        stream.read_exact(&mut got).await.unwrap();
        got
    }

    #[tokio::test]
    async fn bytes_take_their_time_and_a_cut_is_silent() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let delay = Duration::from_millis(20);
        let line = Line::to(server.local_addr().unwrap(), delay).await.unwrap();
        let begun = Instant::now();
        let mut agent = TcpStream::connect(line.address).await.unwrap();
        agent.write_all(b"hello").await.unwrap();
        let (mut broker, _) = server.accept().await.unwrap();
        assert_eq!(read(&mut broker, 5).await, b"hello");
        assert!(begun.elapsed() >= 3 * delay, "TCP's handshake and one way: {:?}", begun.elapsed());

        line.arm(10, Duration::from_millis(50));
        broker.write_all(&[1; 9]).await.unwrap();
        assert_eq!(read(&mut agent, 9).await, [1; 9]);
        broker.write_all(&[2; 9]).await.unwrap();
        let silence = tokio::time::timeout(3 * delay, agent.read_u8()).await;
        assert!(silence.is_err(), "neither a byte nor an end: {silence:?}");

        // A new one gets through when the line is back; one from before that never.
        let cut = line.cuts()[0];
        assert!(cut.dialled_ms.is_none());
        sleep(delay).await;
        let mut again = TcpStream::connect(line.address).await.unwrap();
        again.write_all(b"x").await.unwrap();
        let (mut broker, _) = server.accept().await.unwrap();
        assert_eq!(read(&mut broker, 1).await, b"x");
        let cut = line.cuts()[0];
        assert!(cut.through_ms >= Some(cut.back_ms) && cut.dialled_ms == cut.through_ms, "{cut:?}");
    }
}
