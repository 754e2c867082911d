//! A transfer over a path in virtual time: dead paths are noticed, slow ones are left alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::packet::Header;
use inkwire_protocol::session::liveness::{Action, Liveness};
use inkwire_protocol::session::rtt::drain_time;
use inkwire_protocol::session::silence::{Silence, Watch};
use inkwire_protocol::transfer::{Layout, Plan, Receiver, Sender, fair_share};

const PACKET: u32 = 16_320;
const SEGMENT: f64 = 1400.0;
const REPORT: Duration = Duration::from_secs(25);
const MBIT: f64 = 125_000.0;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Debug, Clone, Copy)]
enum Item {
    Segment,
    Packet(u32),
    Blocked,
    Ack { next_seq: u32, credit: u32 },
    Ping,
    Pong,
    Report,
    ReportOk,
}

/// One direction: bytes leave one after the other at a rate and arrive after a delay, in order.
struct Link {
    bytes_per_s: f64,
    delay: Duration,
    busy_until: Duration,
    queue: VecDeque<(Duration, Item)>,
    dead: bool,
}

impl Link {
    fn new(bytes_per_s: f64, delay: Duration) -> Self {
        Self { bytes_per_s, delay, busy_until: Duration::ZERO, queue: VecDeque::new(), dead: false }
    }

    fn send(&mut self, now: Duration, bytes: f64, item: Item) {
        self.busy_until = self.busy_until.max(now) + Duration::from_secs_f64(bytes / self.bytes_per_s);
        let last = self.queue.back().map_or(Duration::ZERO, |(at, _)| *at);
        let at = (self.busy_until + self.delay).max(last);
        if !self.dead {
            self.queue.push_back((at, item));
        }
    }

    /// How long what is queued takes to leave.
    fn backlog(&self, now: Duration) -> Duration {
        self.busy_until.saturating_sub(now)
    }

    fn arrived(&mut self, now: Duration) -> Option<Item> {
        if self.queue.front().is_some_and(|(at, _)| *at <= now) {
            self.queue.pop_front().map(|(_, item)| item)
        } else {
            None
        }
    }

    /// A lost segment holds back everything behind it until its repair has come.
    fn hold_until(&mut self, at: Duration) {
        self.queue.iter_mut().for_each(|(due, _)| *due = (*due).max(at));
    }

    fn die(&mut self) {
        self.dead = true;
        self.queue.clear();
    }
}

/// A scenario.
#[derive(Clone, Copy)]
struct Scenario {
    down_bytes_per_s: f64,
    up_bytes_per_s: f64,
    rtt: Duration,
    /// What the path downwards holds before the broker's socket blocks, in time.
    buffer: Duration,
    /// How long the agent's disk takes for a sync.
    sync: Duration,
    /// Packets leave at this distance, and the sender says `blocked` between them.
    pace: Option<Duration>,
    /// Every so often a segment downwards is lost and repaired one loaded round trip later.
    loss_every: Option<Duration>,
    /// From this moment on everything vanishes.
    dies_at: Option<Duration>,
    /// Somebody else's traffic upwards: it makes the queue grow by so much a second, up to `up_queue_most`.
    up_queue_per_s: Duration,
    up_queue_most: Duration,
    runs: Duration,
}

const ORDINARY: Scenario = Scenario {
    down_bytes_per_s: 10.0 * MBIT,
    up_bytes_per_s: 10.0 * MBIT,
    rtt: ms(40),
    buffer: ms(300),
    sync: ms(10),
    pace: None,
    loss_every: None,
    dies_at: None,
    up_queue_per_s: Duration::ZERO,
    up_queue_most: Duration::ZERO,
    runs: Duration::from_secs(120),
};

/// What came of it; instants from the scenario's beginning.
#[derive(Debug, Default)]
struct Outcome {
    dead: Option<Duration>,
    marked: Option<Duration>,
    received: u32,
}

struct World {
    scenario: Scenario,
    start: Instant,
    down: Link,
    up: Link,
    sender: Sender,
    receiver: Receiver,
    live: Liveness,
    silence: Silence,
    /// When the running sync is done, and up to which packet.
    syncing: Option<(Duration, u32)>,
    next_paced: Duration,
    next_loss: Duration,
    outcome: Outcome,
}

impl World {
    #[allow(clippy::disallowed_methods, reason = "a test's time begins anywhere and moves by hand")]
    fn new(scenario: Scenario) -> Self {
        let start = Instant::now();
        let layout = Layout::new(1 << 36, PACKET).unwrap();
        let mut live = Liveness::new(start, REPORT, 0.5);
        live.on_rtt_sample(scenario.rtt);
        Self {
            scenario,
            start,
            down: Link::new(scenario.down_bytes_per_s, scenario.rtt / 2),
            up: Link::new(scenario.up_bytes_per_s, scenario.rtt / 2),
            sender: Sender::new(layout, 0, true),
            receiver: Receiver::new(layout, 0),
            live,
            silence: Silence::new(start, REPORT),
            syncing: None,
            next_paced: Duration::ZERO,
            next_loss: scenario.loss_every.unwrap_or_default(),
            outcome: Outcome::default(),
        }
    }

    fn run(mut self) -> Outcome {
        let tick = ms(5);
        let mut now = Duration::ZERO;
        while now < self.scenario.runs && self.outcome.dead.is_none() {
            self.path(now, tick);
            self.broker(now);
            self.agent(now);
            now += tick;
        }
        self.outcome.received = self.receiver.received();
        self.outcome
    }

    fn path(&mut self, now: Duration, tick: Duration) {
        if self.scenario.dies_at.is_some_and(|at| now >= at) {
            self.down.die();
            self.up.die();
        }
        if self.up.backlog(now) < self.scenario.up_queue_most {
            let grows = self.scenario.up_queue_per_s.mul_f64(tick.as_secs_f64()) + tick;
            self.up.busy_until = self.up.busy_until.max(now) + grows;
        }
        if let Some(every) = self.scenario.loss_every
            && now >= self.next_loss
        {
            let repaired = now + self.down.backlog(now) + self.scenario.rtt;
            self.down.hold_until(repaired);
            self.next_loss = repaired + every;
        }
    }

    fn broker(&mut self, now: Duration) {
        while let Some(item) = self.up.arrived(now) {
            self.silence.on_bytes(self.start + now);
            match item {
                Item::Ack { next_seq, credit } => {
                    self.sender.on_ack(next_seq, credit).map(|_| ()).unwrap();
                }
                Item::Ping => self.down.send(now, 40.0, Item::Pong),
                Item::Report => self.down.send(now, 80.0, Item::ReportOk),
                Item::Segment | Item::Packet(_) | Item::Blocked | Item::Pong | Item::ReportOk => {}
            }
        }
        while self.down.backlog(now) < self.scenario.buffer && now >= self.next_paced {
            let Plan::Packet(slice) = self.sender.next() else { break };
            for _ in 0..(f64::from(PACKET) / SEGMENT) as u32 {
                self.down.send(now, SEGMENT, Item::Segment);
            }
            self.down.send(now, SEGMENT, Item::Packet(slice.seq));
            self.sender.on_sent();
            if let Some(pace) = self.scenario.pace {
                self.down.send(now, 80.0, Item::Blocked);
                self.next_paced = now + pace;
            }
        }
        self.silence.set_waiting(self.start + now, self.sender.in_flight() > 0);
        match self.silence.poll(self.start + now) {
            Watch::MarkSilent => self.outcome.marked = self.outcome.marked.or(Some(now)),
            Watch::SendProbe => {
                self.silence.on_probe_sent();
                self.down.send(now, 40.0, Item::Ping);
            }
            Watch::Nothing { .. } | Watch::Gone => {}
        }
    }

    fn agent(&mut self, now: Duration) {
        let at = self.start + now;
        while let Some(item) = self.down.arrived(now) {
            self.live.on_bytes(at);
            match item {
                Item::Packet(seq) => {
                    let header = Header {
                        transfer: TransferId(1),
                        printer: PrinterNumber(1),
                        seq,
                        last: false,
                        crc32c: 0,
                    };
                    let _written = self.receiver.on_packet(&header, PACKET as usize).unwrap();
                }
                Item::Blocked => self.receiver.set_blocked(true),
                Item::Ping => self.up.send(now, 40.0, Item::Pong),
                Item::Pong => self.live.on_pong(at),
                Item::ReportOk => self.live.on_report_answered(at),
                Item::Segment | Item::Ack { .. } | Item::Report => {}
            }
        }
        self.sync(now);
        self.live.set_expecting(at, self.receiver.expects_data());
        let queued = drain_time(0, None);
        match self.live.poll(at) {
            Action::Nothing { until } => assert!(until > at, "nothing to do, but at once"),
            Action::SendProbe => {
                self.live.on_probe_sent(at, queued);
                self.up.send(now, 40.0, Item::Ping);
            }
            Action::SendReport => {
                self.live.on_report_sent(at, queued, 0.5);
                self.up.send(now, 200.0, Item::Report);
            }
            Action::Dead => self.outcome.dead = Some(now),
        }
    }

    /// One sync at a time, as the agent's disk thread does; its ack grants one mebibyte.
    fn sync(&mut self, now: Duration) {
        if let Some((done, next_seq)) = self.syncing
            && now >= done
        {
            self.syncing = None;
            let window = self.receiver.layout().packets_in(fair_share(8));
            let credit = self.receiver.on_synced(next_seq, window);
            self.up.send(now, 120.0, Item::Ack { next_seq, credit });
        }
        if self.syncing.is_none() && self.receiver.received() > self.receiver.durable() {
            self.syncing = Some((now + self.scenario.sync, self.receiver.received()));
        }
    }
}

#[test]
fn a_path_that_dies_in_a_transfer_is_noticed_within_three_seconds() {
    for rtt in [1, 40, 100, 200] {
        for mbit in [1.0, 2.0, 10.0, 100.0] {
            for dies_ms in [5_000, 5_700, 11_111, 30_003] {
                let outcome = World::new(Scenario {
                    down_bytes_per_s: mbit * MBIT,
                    up_bytes_per_s: mbit * MBIT,
                    rtt: ms(rtt),
                    dies_at: Some(ms(dies_ms)),
                    ..ORDINARY
                })
                .run();
                let dead = outcome.dead.unwrap_or_else(|| panic!("never noticed at {rtt} ms, {mbit} Mbit/s"));
                let took = dead.checked_sub(ms(dies_ms)).expect("a false alarm before the cut");
                assert!(took <= ms(3000), "{took:?} at {rtt} ms, {mbit} Mbit/s, cut at {dies_ms} ms");
            }
        }
    }
}

#[test]
fn a_broker_marks_a_silent_agent_within_five_seconds() {
    for rtt in [1, 200] {
        let mut world = World::new(Scenario { rtt: ms(rtt), dies_at: Some(ms(7000)), ..ORDINARY });
        let mut now = Duration::ZERO;
        while now < ms(20_000) && world.outcome.marked.is_none() {
            world.path(now, ms(5));
            world.broker(now);
            if now < ms(7000) {
                world.agent(now);
            }
            now += ms(5);
        }
        let marked = world.outcome.marked.expect("never marked");
        assert!(marked >= ms(7000) && marked <= ms(12_000), "{marked:?}");
    }
}

fn healthy(name: &str, scenario: Scenario) -> Outcome {
    let outcome = World::new(scenario).run();
    assert_eq!(outcome.dead, None, "{name}: a healthy path was given up");
    outcome
}

#[test]
fn a_slow_disk_is_no_dead_path_and_no_silent_agent() {
    for rtt in [1, 40, 200] {
        let outcome = healthy("acks late by 3 s", Scenario { rtt: ms(rtt), sync: ms(3000), ..ORDINARY });
        assert!(outcome.received > 1000 && outcome.marked.is_none(), "{outcome:?}");
    }
}

#[test]
fn a_paced_printer_is_no_dead_path() {
    for pace in [1500, 5000, 20_000] {
        let outcome = healthy("paced", Scenario { pace: Some(ms(pace)), runs: ms(300_000), ..ORDINARY });
        assert!(u64::from(outcome.received) >= 300_000 / pace - 1, "{outcome:?}");
    }
}

#[test]
fn sixty_four_kilobits_are_no_dead_path() {
    for rtt in [40, 200, 800] {
        for buffer in [300, 2000, 8000] {
            let slow = Scenario {
                down_bytes_per_s: 8000.0,
                up_bytes_per_s: 8000.0,
                rtt: ms(rtt),
                buffer: ms(buffer),
                runs: ms(300_000),
                ..ORDINARY
            };
            let outcome = healthy("64 kbit/s", slow);
            assert!(outcome.received > 100, "{outcome:?}");
        }
    }
}

#[test]
fn eight_seconds_of_bufferbloat_are_no_dead_path() {
    for mbit in [1.0, 10.0] {
        let deep =
            Scenario { down_bytes_per_s: mbit * MBIT, buffer: ms(8000), runs: ms(300_000), ..ORDINARY };
        healthy("downwards, our own", deep);
        let loss_every = Some(ms(20_000));
        healthy("downwards, with losses", Scenario { loss_every, ..deep });
        let theirs = Scenario {
            down_bytes_per_s: mbit * MBIT,
            up_queue_per_s: ms(500),
            up_queue_most: ms(8000),
            runs: ms(300_000),
            ..ORDINARY
        };
        healthy("upwards, somebody else's", theirs);
    }
}
