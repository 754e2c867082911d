//! `cuts`: lines that are cut at random packets of documents, and what going on costs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use inkwire_client::{Client, new_job};
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::job::State;
use inkwire_protocol::limits::{DEFAULT_PACKET_BYTES, GOOD_SESSION_AFTER, MAX_WINDOW_BYTES};
use inkwire_tests::documents::noise;
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::sent;
use inkwire_tests::sink::Socket;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::goal::{Goal, Kind, Side};
use crate::line::Line;
use crate::programs::Programs;
use crate::resumed::{Resumed, resumed};
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;

const WHOLE: &str = "whole re-send";
const TWICE: &str = "bytes sent twice a cut";
const THROUGH: &str = "from the first dial that gets through to the next packet";
const BACK: &str = "from the line's return to the next packet, less 1 s";
const DETECTED: &str = "from the cut to the first dial";
/// Each way.
const DELAY: Duration = Duration::from_millis(50);
/// Twice the largest window: what is cut in its first half has not been sent whole.
const DOCUMENT_BYTES: usize = 2 * MAX_WINDOW_BYTES as usize;
/// What passes before the first packet of a session, and what a packet takes on the wire.
const HANDSHAKE_BYTES: usize = 4096;
const PACKET_ON_WIRE: usize = DEFAULT_PACKET_BYTES as usize + 64;
/// So many cuts of a line in a row, then it rests: a line that has been bad for a minute is dialled less often.
const IN_A_ROW: usize = 8;
/// A job is over by then.
const WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Size {
    lines: usize,
    cuts_each: usize,
}

const FULL: Size = Size { lines: 20, cuts_each: 50 };
const QUICK: Size = Size { lines: 6, cuts_each: 2 };

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let size = if programs.quick { &QUICK } else { &FULL };
    let dir = programs.dir.path().join("cuts");
    describe(sheet, size);
    let log = [("INKWIRE_LOG", "info,inkwire_broker::sessions=trace")];
    let broker = block_in_place(|| Broker::start_with(&dir.join("broker"), &[], &log));
    let mut ends = Vec::with_capacity(size.lines);
    for number in 0..size.lines {
        ends.push(End::start(&broker, &dir.join(format!("agent{number}")), number).await?);
    }
    let url = broker.ready().pair_url.parse().context("the broker's URL")?;
    let app = Client::connect(url, block_in_place(|| broker.key("submit"))).await?;
    try_join_all(ends.iter().map(|end| end.suffer(&app, size.cuts_each))).await?;
    let printers = app.printers().await?;
    let packets = block_in_place(|| std::fs::read_to_string(dir.join("broker/broker.log")))?;
    let packets = sent::packets(&packets);
    let each = DOCUMENT_BYTES.div_ceil(DEFAULT_PACKET_BYTES as usize) as u32;
    let mut all = Vec::new();
    for end in &ends {
        let printer = printers.iter().find(|it| it.name == end.name).context("a printer")?;
        let agent = printer.agent.to_string();
        let mine: Vec<_> = packets.iter().filter(|packet| packet.agent == agent).cloned().collect();
        all.extend(resumed(&mine, &end.line.cuts(), each));
    }
    report(sheet, &all, size)
}

/// One agent behind its line.
struct End {
    name: String,
    line: Line,
    sink: Socket,
    number: usize,
    _agent: Agent,
}

impl End {
    async fn start(broker: &Broker, dir: &std::path::Path, number: usize) -> Result<Self> {
        let line = Line::to(broker.ready().listen, DELAY).await?;
        let listens = broker.ready().listen.to_string();
        let url = broker.ready().pair_url.replace(&listens, &line.address.to_string());
        let (name, sink) = (format!("printer{number}"), Socket::listen(None));
        let printers = [Printer::new(&name, sink.uri())];
        let agent = block_in_place(|| {
            let mut agent = Agent::pair_at(dir, broker, &url, &printers);
            agent.start();
            agent
        });
        Ok(Self { name, line, sink, number, _agent: agent })
    }

    /// Documents one after the other, each cut once at a random packet.
    async fn suffer(&self, app: &Client, cuts: usize) -> Result<()> {
        self.await_printer(app).await?;
        let mut documents = 0;
        while self.line.cuts().len() < cuts {
            if documents % IN_A_ROW == IN_A_ROW - 1 {
                sleep(GOOD_SESSION_AFTER + Duration::from_secs(1)).await;
            }
            let chance = Chance::of(self.number, documents);
            self.line.arm(chance.after_bytes, chance.gap);
            let document = noise((self.number * 1000 + documents) as u64, DOCUMENT_BYTES);
            let sha256 = Sha256Digest::of(&document);
            let job = new_job(self.name.clone(), "application/octet-stream");
            let job = app.submit(job, document).await?.id;
            let end = Instant::now() + WITHIN;
            loop {
                let state = app.job(job).await?.job.state;
                if state == State::Completed {
                    break;
                }
                ensure!(!state.is_terminal() && Instant::now() < end, "{}: its job is {state}", self.name);
                sleep(LOOK_EVERY).await;
            }
            ensure!(
                self.sink.count(sha256) == 1,
                "{}: the document came {} times",
                self.name,
                self.sink.count(sha256)
            );
            documents += 1;
        }
        Ok(())
    }

    async fn await_printer(&self, app: &Client) -> Result<()> {
        let end = Instant::now() + WITHIN;
        while !app.printers().await?.iter().any(|printer| printer.name == self.name) {
            ensure!(Instant::now() < end, "{} did not come", self.name);
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// Where a document is cut, and for how long; the same in every run.
struct Chance {
    after_bytes: usize,
    gap: Duration,
}

impl Chance {
    fn of(line: usize, document: usize) -> Self {
        let noise = noise((line * 7919 + document + 1) as u64, 64);
        let drawn = |at: usize| usize::from(noise[at]) * 256 + usize::from(noise[at + 1]);
        let packets = DOCUMENT_BYTES / 2 / DEFAULT_PACKET_BYTES as usize;
        let first = if document == 0 { HANDSHAKE_BYTES } else { 0 };
        // Every second time the line forgets its connections and is there at once; otherwise it is gone for longer than a dead
        // one takes to be noticed.
        let gap = if document.is_multiple_of(2) { 0 } else { 3000 + drawn(50) as u64 % 1000 };
        Self {
            after_bytes: first + (1 + drawn(40) % (packets - 8)) * PACKET_ON_WIRE,
            gap: Duration::from_millis(gap),
        }
    }
}

fn report(sheet: &mut Sheet, all: &[Resumed], size: &Size) -> Result<()> {
    ensure!(!all.is_empty(), "no document was cut in its middle");
    let round_trip_ms = 2.0 * DELAY.as_secs_f64() * 1e3;
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    let mut add = |figure: &str, unit, subject, values: Vec<f64>| {
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("most", 1.0)] {
            if let Some(value) = percentile(&values, share) {
                sheet.add(&format!("{figure}, {name}"), unit, subject, value);
            }
        }
    };
    add(TWICE, "KiB", OURS, all.iter().map(|it| kib(it.twice_bytes)).collect());
    add(TWICE, "KiB", WHOLE, all.iter().map(|it| kib(it.whole_bytes)).collect());
    let round_trips = |ms: f64| ms / round_trip_ms;
    add(THROUGH, "round trips", OURS, all.iter().filter_map(|it| it.through_ms).map(round_trips).collect());
    let back = all.iter().filter_map(|it| it.back_ms).map(|ms| round_trips((ms - 1000.0).max(0.0)));
    add(BACK, "round trips", OURS, back.collect());
    add(DETECTED, "ms", OURS, all.iter().filter_map(|it| it.detected_ms).collect());
    sheet.add("cuts in the middle of a document", "", OURS, all.len() as f64);
    let window = MAX_WINDOW_BYTES as f64 / 1024.0;
    sheet.goal(&format!("{TWICE}, most"), Goal::ours(Kind::Must, Side::AtMost, window));
    for figure in [THROUGH, BACK] {
        sheet.goal(&format!("{figure}, p99"), Goal::ours(Kind::Must, Side::AtMost, 4.0));
    }
    let cuts = size.lines * size.cuts_each;
    if all.len() < cuts {
        sheet.note(format!("{} of {cuts} cuts came before the first packet of a document", cuts - all.len()));
    }
    Ok(())
}

fn describe(sheet: &mut Sheet, size: &Size) {
    sheet.setting("rounds", 1);
    sheet.setting("cuts", format!("{} on each of {} lines", size.cuts_each, size.lines));
    sheet.setting(
        "document",
        format!("{} MiB, cut once at a random packet; its bytes are compared", DOCUMENT_BYTES >> 20),
    );
    sheet.setting(
        "line",
        format!(
            "in user space, {DELAY:?} each way; a cut is silent, what was under way is gone, older connections stay dead; every second \
             time the line is gone for 3 to 4 s"
        ),
    );
    sheet.setting("next packet", "the first one that the broker sends on the new session, by its trace");
    sheet.setting("window", format!("at most {} KiB", MAX_WINDOW_BYTES / 1024));
    sheet.setting(
        WHOLE,
        "what a peer repeats that cannot go on in the middle (a JetStream message or object, an MQTT message, a print job of CUPS): \
         all that was sent of the document, computed from the same cuts",
    );
}
