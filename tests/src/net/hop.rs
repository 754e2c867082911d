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

use super::netns::Netns;

/// What happens to packets, each way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weather {
    /// How long each is under way.
    pub delay: Duration,
    /// The part of them that is lost, 0 to 1.
    pub loss: f64,
    /// How much passes; none: as much as comes.
    pub rate: Option<Rate>,
}

/// A slow line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Bits that pass in a second.
    pub bits_per_s: f64,
    /// What waits before it at most; what comes then is lost.
    pub queue_bytes: f64,
}

/// The line's own end: when it has passed on what was given to it.
#[derive(Debug)]
struct Pipe {
    rate: Option<Rate>,
    free_at: Instant,
}

impl Pipe {
    /// When a packet that comes now has passed; none where it is lost.
    fn passed(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(Rate { bits_per_s, queue_bytes }) = self.rate else { return Some(now) };
        let waits = self.free_at.saturating_duration_since(now);
        if waits.as_secs_f64() * bits_per_s / 8.0 > queue_bytes {
            return None;
        }
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / bits_per_s);
        self.free_at = self.free_at.max(now) + takes;
        Some(self.free_at)
    }
}

/// Packets under way at most, each way: 100 Mbit/s for a second. What comes then is lost, as on a real line.
const QUEUE: usize = 8192;
/// Ethernet's.
const MTU: i32 = 1500;
/// The same packets are lost in every run, as far as the same are sent.
const SEED: u64 = 2005;

/// A running hop; its thread ends when this is dropped.
#[derive(Debug)]
pub struct Hop {
    _alive: oneshot::Sender<()>,
}

impl Hop {
    /// Makes a TUN device `wan` in each namespace and carries packets between them.
    pub fn start(one: &Netns, other: &Netns, weather: Weather) -> Result<Self> {
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
        eprintln!("the hop ended: {error:#}");
    }
}

async fn one_way(from: &Tun, to: &Tun, weather: Weather, seed: u64) -> Result<()> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut pipe = Pipe { rate: weather.rate, free_at: Instant::now() };
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let due = under_way.front().map(|(due, _)| *due);
        tokio::select! {
            read = from.recv(&mut buffer) => {
                let read = read.context("cannot read from a TUN device")?;
                let kept = under_way.len() < QUEUE && !chance.random_bool(weather.loss);
                if kept && let Some(passed) = pipe.passed(Instant::now(), read) {
                    under_way.push_back((passed + weather.delay, buffer[..read].to_vec()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_line_takes_its_time_and_loses_what_its_queue_does_not_hold() {
        let now = Instant::now();
        let rate = Some(Rate { bits_per_s: 8000.0, queue_bytes: 1500.0 });
        let mut pipe = Pipe { rate, free_at: now };
        assert_eq!(pipe.passed(now, 1000), Some(now + Duration::from_secs(1)));
        assert_eq!(pipe.passed(now, 1000), Some(now + Duration::from_secs(2)));
        assert_eq!(pipe.passed(now, 1000), None, "2,000 bytes wait");
        let later = now + Duration::from_secs(3);
        assert_eq!(pipe.passed(later, 500), Some(later + Duration::from_millis(500)));
        assert_eq!(Pipe { rate: None, free_at: now }.passed(later, 500), Some(later));
    }
}
