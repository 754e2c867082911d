//! A hop on the way in user space, over two TUN devices: delay and loss, where the kernel has no netem.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use crate::netns::Netns;

/// What happens to packets, each way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weather {
    /// How long each is under way.
    pub(crate) delay: Duration,
    /// The part of them that is lost, 0 to 1.
    pub(crate) loss: f64,
}

/// Packets under way at most, each way: 100 Mbit/s for a second. What comes then is lost, as on a real line.
const QUEUE: usize = 8192;
/// Ethernet's.
const MTU: i32 = 1500;
/// The same packets are lost in every run, as far as the same are sent.
const SEED: u64 = 2005;

/// A running hop; its thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hop {
    _alive: oneshot::Sender<()>,
}

impl Hop {
    /// Makes a TUN device `wan` in each namespace and carries packets between them.
    pub(crate) fn start(one: &Netns, other: &Netns, weather: Weather) -> Result<Self> {
        let opened = thread::scope(|scope| {
            // A thread that has entered a namespace cannot be used for anything else: this one only opens the devices.
            let opening = scope.spawn(|| -> Result<_> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let (a, b) = {
                    let _inside = runtime.enter();
                    (open(one)?, open(other)?)
                };
                Ok((runtime, a, b))
            });
            opening.join().map_err(|_| anyhow!("opening the TUN devices panicked"))?
        });
        let (runtime, a, b) = opened?;
        let (alive, ended) = oneshot::channel();
        thread::Builder::new()
            .name("hop".into())
            .spawn(move || runtime.block_on(carry(&a, &b, weather, ended)))?;
        Ok(Self { _alive: alive })
    }
}

/// A device belongs to the namespace of the thread that opens it; its file then works from everywhere.
fn open(netns: &Netns) -> Result<Tun> {
    netns.enter()?;
    let made = Tun::builder().name("wan").mtu(MTU).up().build().context("cannot make a TUN device")?;
    made.into_iter().next().context("no TUN device was made")
}

async fn carry(a: &Tun, b: &Tun, weather: Weather, ended: oneshot::Receiver<()>) {
    tokio::select! {
        end = one_way(a, b, weather, SEED) => report(&end),
        end = one_way(b, a, weather, SEED + 1) => report(&end),
        _ = ended => {}
    }
}

fn report(end: &Result<()>) {
    if let Err(error) = end {
        eprintln!("natlab: the hop ended: {error:#}");
    }
}

async fn one_way(from: &Tun, to: &Tun, weather: Weather, seed: u64) -> Result<()> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let due = under_way.front().map(|(due, _)| *due);
        tokio::select! {
            read = from.recv(&mut buffer) => {
                let read = read.context("cannot read from a TUN device")?;
                if under_way.len() < QUEUE && !chance.random_bool(weather.loss) {
                    under_way.push_back((Instant::now() + weather.delay, buffer[..read].to_vec()));
                }
            }
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                if let Some((_, packet)) = under_way.pop_front() {
                    to.send_all(&packet).await.context("cannot write to a TUN device")?;
                }
            }
        }
    }
}
