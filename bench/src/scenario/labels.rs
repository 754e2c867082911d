//! `labels`: small jobs from several apps to many printers, with 1, 64 and 256 in flight.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use crate::device::Expected;
use crate::everybody::{CUPS, Crew, Everybody, NATS};
use crate::flushes::Flushes;
use crate::goal::{Goal, Kind, Side};
use crate::load::{Ran, Way, closed_loop};
use crate::proc::cpu_s;
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;

/// How much of everything.
struct Size {
    crew: Crew,
    in_flight: &'static [usize],
    run: Duration,
    warm_up: Duration,
}

const FULL: Size = Size {
    crew: Crew { apps: 16, agents: 20, printers: 100 },
    in_flight: &[1, 64, 256],
    run: Duration::from_secs(5),
    warm_up: Duration::from_secs(1),
};
const QUICK: Size = Size {
    crew: Crew { apps: 2, agents: 2, printers: 8 },
    in_flight: &[1, 16],
    run: Duration::from_millis(700),
    warm_up: Duration::from_millis(100),
};

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let size = if programs.quick { &QUICK } else { &FULL };
    let everybody = Everybody::start(programs, "labels", size.crew).await?;
    let Everybody { expected, ours, nats, cups, pids, .. } = &everybody;
    everybody.describe(sheet);
    sheet.setting("a turn", format!("{:?}", size.run));
    sheet.setting("latency", "from the submission until it is accepted and whole at the device");
    sheet.setting("fsyncs", "of the server; ours: of the broker and all agents");
    let printers = size.crew.printers;
    closed_loop(ours, expected, printers, size.warm_up).await?;
    closed_loop(nats, expected, printers, size.warm_up).await?;
    closed_loop(cups, expected, printers, size.warm_up).await?;
    let folder = programs.dir.path();
    for &in_flight in size.in_flight {
        for _ in 0..programs.rounds {
            let both = [pids.broker.as_slice(), &pids.agents].concat();
            let mut turn = Turn { folder, expected, in_flight, run: size.run, sheet };
            turn.take(OURS, ours, &pids.broker, &both).await?;
            turn.take(NATS, nats, &pids.nats, &pids.nats).await?;
            turn.take(CUPS, cups, &pids.cups, &pids.cups).await?;
        }
        goals(sheet, in_flight);
    }
    Ok(())
}

/// One subject's turn.
struct Turn<'a> {
    folder: &'a Path,
    expected: &'a Expected,
    in_flight: usize,
    run: Duration,
    sheet: &'a mut Sheet,
}

impl Turn<'_> {
    async fn take<W: Way>(
        &mut self,
        subject: &'static str,
        way: &Arc<W>,
        server: &[u32],
        durable: &[u32],
    ) -> Result<()> {
        let flushes = block_in_place(|| Flushes::count(self.folder, durable));
        let before = cpu_s(server)?;
        let ran = closed_loop(way, self.expected, self.in_flight, self.run)
            .await
            .with_context(|| format!("{subject}, {} in flight", self.in_flight))?;
        let cpu = cpu_s(server)? - before;
        let flushes = block_in_place(|| flushes.and_then(Flushes::end));
        self.add(subject, "jobs a second", "1/s", Some(ran.per_s()));
        self.add(subject, "latency p50", "ms", percentile(&ran.whole_ms, 0.5));
        self.add(subject, "latency p99", "ms", percentile(&ran.whole_ms, 0.99));
        self.add(subject, "server CPU a job", "ms", per_job(&ran, cpu * 1e3));
        match flushes {
            Ok(count) => self.add(subject, "fsyncs a job", "", per_job(&ran, count as f64)),
            Err(error) => self.sheet.note(format!("fsyncs were not counted: {error:#}")),
        }
        Ok(())
    }

    fn add(&mut self, subject: &'static str, what: &str, unit: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.sheet.add(&figure(what, self.in_flight), unit, subject, value);
        }
    }
}

fn per_job(ran: &Ran, all: f64) -> Option<f64> {
    (ran.jobs() > 0.0).then(|| all / ran.jobs())
}

fn figure(what: &str, in_flight: usize) -> String {
    format!("{what}, {in_flight} in flight")
}

/// With one in flight the serial commits are what is reported; nothing is asked of it but what DESIGN.md says of fsyncs.
fn goals(sheet: &mut Sheet, in_flight: usize) {
    if in_flight == 1 {
        sheet.goal(&figure("fsyncs a job", 1), Goal::ours(Kind::Must, Side::AtMost, 6.0));
        return;
    }
    let jobs = figure("jobs a second", in_flight);
    for (kind, peer, bound) in
        [(Kind::Must, NATS, 1.2), (Kind::Must, CUPS, 25.0), (Kind::Aim, NATS, 2.5), (Kind::Aim, CUPS, 50.0)]
    {
        sheet.goal(&jobs, Goal::ratio(kind, peer, Side::AtLeast, bound));
    }
}
