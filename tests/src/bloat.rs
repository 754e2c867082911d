//! A line with a deep queue: it takes at once what comes from the broker, and gives it to the agent at its own pace, late.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

/// What one read takes.
const CHUNK_BYTES: usize = 2048;

/// A running line. It ends with the runtime.
#[derive(Debug)]
pub struct Bloat {
    lan: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    broker: SocketAddr,
    bytes_per_s: u64,
    queue_bytes: usize,
    longest_ms: AtomicU64,
}

impl Bloat {
    /// Listens on a port of its own. The queue holds what the pace takes `depth` to give away.
    pub async fn start(broker: SocketAddr, bytes_per_s: u64, depth: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let lan = listener.local_addr().expect("a listener has an address");
        let queue_bytes = (bytes_per_s * depth.as_secs()) as usize;
        let state = Arc::new(State { broker, bytes_per_s, queue_bytes, longest_ms: AtomicU64::new(0) });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(line(agent, Arc::clone(&shared)));
            }
        });
        Self { lan, state }
    }

    /// Where agents dial.
    pub const fn lan(&self) -> SocketAddr {
        self.lan
    }

    /// The longest that anything has waited in the queue.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.state.longest_ms.load(Ordering::Relaxed))
    }
}

type Waiting = (Instant, Vec<u8>, OwnedSemaphorePermit);

/// One connection: up as fast as it goes, down through the queue. Whatever ends ends it.
async fn line(agent: TcpStream, state: Arc<State>) {
    let Ok(broker) = TcpStream::connect(state.broker).await else { return };
    let (mut agent_in, mut agent_out) = agent.into_split();
    let (mut broker_in, mut broker_out) = broker.into_split();
    let room = Arc::new(Semaphore::new(state.queue_bytes));
    let (queue, mut waiting) = mpsc::channel::<Waiting>(state.queue_bytes);
    let up = tokio::io::copy(&mut agent_in, &mut broker_out);
    let fill = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = broker_in.read(&mut chunk).await {
            let place = Arc::clone(&room).acquire_many_owned(read as u32).await.expect("it is never closed");
            if queue.send((Instant::now(), chunk[..read].to_vec(), place)).await.is_err() {
                return;
            }
        }
    };
    let empty = async {
        let mut due = Instant::now();
        while let Some((came, bytes, place)) = waiting.recv().await {
            due = due.max(Instant::now())
                + Duration::from_micros(bytes.len() as u64 * 1_000_000 / state.bytes_per_s);
            tokio::time::sleep_until(due).await;
            state.longest_ms.fetch_max(came.elapsed().as_millis() as u64, Ordering::Relaxed);
            if agent_out.write_all(&bytes).await.is_err() {
                return;
            }
            drop(place);
        }
    };
    tokio::select! {
        _ = up => {}
        () = fill => {}
        () = empty => {}
    }
}
