//! Lines between PCs and the broker, and what happens to them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::DialError;
use super::socket::Frame;
use crate::chance;
use crate::rt::process;

/// What the kernels on both sides hold of one direction.
pub(super) const HELD_BYTES: usize = 64 * 1024;

thread_local! {
    static NET: RefCell<Net> = RefCell::default();
}

/// Somebody at the broker's port.
pub(crate) struct Knock {
    pub(crate) bearer: String,
    pub(crate) conn: Arc<Conn>,
    pub(crate) observed: SocketAddr,
    pub(crate) answer: oneshot::Sender<Result<(), DialError>>,
}

/// All lines of a run.
#[derive(Default)]
pub(crate) struct Net {
    door: Option<mpsc::UnboundedSender<Knock>>,
    lines: BTreeMap<String, Arc<Line>>,
    conns: u64,
}

/// Looks at or changes the net.
pub(crate) fn net<T>(act: impl FnOnce(&mut Net) -> T) -> T {
    NET.with_borrow_mut(act)
}

impl Net {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn listen(&mut self) -> mpsc::UnboundedReceiver<Knock> {
        let (door, knocks) = mpsc::unbounded_channel();
        self.door = Some(door);
        knocks
    }

    pub(crate) fn door(&self) -> Option<mpsc::UnboundedSender<Knock>> {
        self.door.clone().filter(|door| !door.is_closed())
    }

    pub(crate) fn line(&mut self, pc: &str) -> Arc<Line> {
        let number = self.lines.len() as u8;
        Arc::clone(self.lines.entry(pc.to_owned()).or_insert_with(|| Arc::new(Line::new(number))))
    }

    pub(crate) fn line_of_process(&mut self) -> Arc<Line> {
        let name = process().map(|process| process.name.clone()).unwrap_or_default();
        self.line(&name)
    }

    pub(crate) fn keep(&mut self, conn: &Arc<Conn>) {
        let mut state = conn.line.lock();
        state.conns.retain(|conn| conn.strong_count() > 0);
        state.conns.push(Arc::downgrade(conn));
    }
}

/// The line of one PC.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    number: u8,
}

#[derive(Debug)]
struct State {
    latency: Duration,
    bytes_s: u64,
    /// Nothing passes before: to the broker, to the agent, and no new connection.
    stalled: [Option<Instant>; 2],
    gone_until: Option<Instant>,
    /// Dials from now on arrive late.
    late_until: Option<Instant>,
    port: u16,
    address: u8,
    conns: Vec<Weak<Conn>>,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends hear of it at once.
    Reset,
    /// Nobody hears of it.
    Silent,
}

impl Line {
    fn new(number: u8) -> Self {
        let state = State {
            latency: Duration::from_micros(400),
            bytes_s: 12_000_000,
            stalled: [None; 2],
            gone_until: None,
            late_until: None,
            port: 40_000,
            address: 1,
            conns: Vec::new(),
        };
        Self { state: Mutex::new(state), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn local(&self) -> SocketAddr {
        let mut state = self.lock();
        state.port = state.port.wrapping_add(1).max(1024);
        SocketAddr::from(([192, 168, self.number, 2], state.port))
    }

    pub(super) fn observed(&self) -> SocketAddr {
        let state = self.lock();
        SocketAddr::from(([203, 0, 113, state.address], state.port))
    }

    /// A connection is being made: it waits while nothing passes.
    pub(super) async fn handshake(&self) {
        loop {
            let (wait, gone) = {
                let state = self.lock();
                let now = Instant::now();
                let gone = [state.gone_until, state.stalled[0], state.stalled[1]]
                    .into_iter()
                    .flatten()
                    .filter(|until| *until > now)
                    .max();
                let late = state.late_until.is_some_and(|until| until > now);
                let extra = if late { chance::below(8_000_000) } else { 0 };
                (state.latency * 4 + Duration::from_micros(extra), gone)
            };
            match gone {
                // Retried SYNs come when it is back, not at once.
                Some(until) => {
                    tokio::time::sleep_until(until + Duration::from_millis(chance::below(900))).await
                }
                None => return tokio::time::sleep(wait).await,
            }
        }
    }

    pub(super) async fn half_trip(&self) {
        let latency = self.lock().latency;
        tokio::time::sleep(latency).await;
    }

    pub(crate) fn cut(&self, cut: Cut) {
        let conns = self.lock().conns.clone();
        for conn in conns.iter().filter_map(Weak::upgrade) {
            conn.cut(cut);
        }
    }

    pub(crate) fn stall(&self, side: Side, for_: Duration) {
        self.lock().stalled[side as usize] = Some(Instant::now() + for_);
    }

    pub(crate) fn late(&self, for_: Duration) {
        self.lock().late_until = Some(Instant::now() + for_);
    }

    /// The line is gone for a while; connections live through it if nobody gives them up.
    pub(crate) fn go(&self, for_: Duration, other_address: bool) {
        let mut state = self.lock();
        state.gone_until = Some(Instant::now() + for_);
        state.stalled = [state.gone_until; 2];
        if other_address {
            state.address = state.address.wrapping_add(1).max(1);
        }
    }

    pub(crate) fn set_speed(&self, latency: Duration, bytes_s: u64) {
        let mut state = self.lock();
        (state.latency, state.bytes_s) = (latency, bytes_s);
    }

    /// As good as it gets.
    pub(crate) fn mend(&self) {
        let mut state = self.lock();
        state.latency = Duration::from_micros(400);
        state.bytes_s = 12_000_000;
        (state.stalled, state.gone_until, state.late_until) = ([None; 2], None, None);
        for conn in state.conns.iter().filter_map(Weak::upgrade) {
            conn.news();
        }
    }
}

/// An end of a connection; as a number, the direction in which it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Agent = 0,
    Broker = 1,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Agent => Self::Broker,
            Self::Broker => Self::Agent,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    frames: VecDeque<(Instant, Frame)>,
    bytes: usize,
    /// When the last one arrives.
    busy_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Pipes {
    ways: [Pipe; 2],
    cut: Option<Cut>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// In the order of dials.
    pub(crate) number: u64,
    line: Arc<Line>,
    pipes: Mutex<Pipes>,
    news: [Notify; 2],
}

/// What has arrived at one end.
#[derive(Debug)]
pub(super) enum Arrived {
    Frame(Frame),
    /// Nothing before then.
    Wait(Option<Instant>),
    Reset,
}

impl Conn {
    pub(super) fn new(line: Arc<Line>) -> Arc<Self> {
        let number = net(|net| {
            net.conns += 1;
            net.conns
        });
        Arc::new(Self { number, line, pipes: Mutex::default(), news: [Notify::new(), Notify::new()] })
    }

    fn pipes(&self) -> MutexGuard<'_, Pipes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, cut: Cut) {
        let mut pipes = self.pipes();
        if pipes.cut != Some(Cut::Reset) {
            pipes.cut = Some(cut);
        }
        drop(pipes);
        self.news();
    }

    fn news(&self) {
        self.news.iter().for_each(Notify::notify_one);
    }

    /// Whether the kernel takes another frame.
    pub(super) fn has_room(&self, side: Side) -> bool {
        self.pipes().ways[side as usize].bytes < HELD_BYTES
    }

    pub(super) fn push(&self, side: Side, frame: Frame) {
        let mut pipes = self.pipes();
        let (latency, bytes_s) = {
            let state = self.line.lock();
            (state.latency, state.bytes_s)
        };
        let now = Instant::now();
        let way = &mut pipes.ways[side as usize];
        let bytes = frame.bytes();
        let begins = way.busy_until.map_or(now, |busy| busy.max(now));
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / bytes_s.max(1));
        let jitter = Duration::from_micros(chance::below(latency.as_micros() as u64 / 4 + 1));
        way.busy_until = Some(begins + takes);
        let last = way.frames.back().map_or(now, |(at, _)| *at);
        way.frames.push_back(((begins + takes + latency + jitter).max(last), frame));
        way.bytes += bytes;
        drop(pipes);
        self.news[side.other() as usize].notify_one();
    }

    /// What has come for this end.
    pub(super) fn arrived(&self, side: Side) -> Arrived {
        let from = side.other();
        let mut pipes = self.pipes();
        match pipes.cut {
            Some(Cut::Reset) => return Arrived::Reset,
            Some(Cut::Silent) => return Arrived::Wait(None),
            None => {}
        }
        let stalled = self.line.lock().stalled[from as usize];
        let way = &mut pipes.ways[from as usize];
        let Some((at, _)) = way.frames.front() else { return Arrived::Wait(None) };
        let at = stalled.map_or(*at, |stalled| stalled.max(*at));
        if at > Instant::now() {
            return Arrived::Wait(Some(at));
        }
        let Some((_, frame)) = way.frames.pop_front() else { return Arrived::Wait(None) };
        way.bytes -= frame.bytes();
        drop(pipes);
        self.news[from as usize].notify_one();
        Arrived::Frame(frame)
    }

    pub(super) async fn until_news(&self, side: Side, at: Option<Instant>) {
        let news = self.news[side as usize].notified();
        match at {
            Some(at) => drop(tokio::time::timeout_at(at, news).await),
            None => news.await,
        }
    }
}
