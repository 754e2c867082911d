//! `mixed`: labels to one printer while a poster goes to another one of the same agent, on loopback and over a slow line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inkwire_client::{Client, Document, new_job};
use inkwire_protocol::ids::JobId;
use inkwire_protocol::job::State;
use inkwire_tests::documents::noise;
use inkwire_tests::net::hop::{Rate, Weather};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::poster::swallow;
use crate::device::{Expected, label, printers};
use crate::goal::{Goal, Kind, Side};
use crate::load::{Way, closed_loop};
use crate::ours::Ours;
use crate::place::Place;
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;

const ALONE: &str = "label p99 alone";
const BESIDE: &str = "label p99 beside the poster";
const RATIO: &str = "label p99 beside the poster, of that alone";
const RATE: &str = "labels a second beside the poster, of those alone";
const POSTER: &str = "poster meanwhile";
const MIB: f64 = 1024.0 * 1024.0;
/// 2 Mbit/s, 100 ms each way, and a queue as a home router has it: a quarter of a second.
const DELAY: Duration = Duration::from_millis(100);
const BITS_PER_S: f64 = 2e6;
const QUEUE_BYTES: f64 = 64.0 * 1024.0;
/// A state comes by then.
const WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happens in one place.
struct Size {
    name: &'static str,
    poster_bytes: u64,
    in_flight: usize,
    run: Duration,
    /// Time for the poster to take what it gets, before labels are measured beside it.
    lead: Duration,
}

const LOOPBACK: Size = Size {
    name: "loopback",
    poster_bytes: 1 << 30,
    in_flight: 4,
    run: Duration::from_millis(1500),
    lead: Duration::from_millis(200),
};
const SLOW: Size = Size {
    name: "2 Mbit/s, 100 ms",
    poster_bytes: 64 << 20,
    in_flight: 2,
    run: Duration::from_secs(20),
    lead: Duration::from_secs(3),
};

fn quick(size: &Size) -> Size {
    let (poster_bytes, run) = (size.poster_bytes.min(128 << 20), size.run.min(Duration::from_secs(2)));
    Size { poster_bytes, run, lead: size.lead / 3, ..*size }
}

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    sheet.setting(
        "labels",
        "to one printer; from the submission until it is accepted and whole at the device",
    );
    sheet.setting(
        "the poster",
        "noise, to the other printer of the same agent; accepted before, released for the turn",
    );
    sheet.setting(OURS, "broker and agent with a user's defaults");
    let sized = |size: &Size| if programs.quick { quick(size) } else { Size { ..*size } };
    one(programs, sheet, &Place::loopback(), &sized(&LOOPBACK)).await?;
    if !rustix::process::geteuid().is_root() {
        sheet.note("the slow line is made of network namespaces, which need root: not measured");
        return Ok(());
    }
    sheet.setting(
        "slow line",
        format!(
            "two TUN devices and a hop in user space, 2 Mbit/s and {DELAY:?} each way, {} KiB of queue, real TCP from end to end",
            QUEUE_BYTES / 1024.0
        ),
    );
    let rate = Some(Rate { bits_per_s: BITS_PER_S, queue_bytes: QUEUE_BYTES });
    let place = block_in_place(|| Place::behind(Weather { delay: DELAY, loss: 0.0, rate }))?;
    one(programs, sheet, &place, &sized(&SLOW)).await
}

/// Labels for one printer.
#[derive(Debug)]
struct Labels(Client);

impl Way for Labels {
    async fn submit(&self, _slot: usize, number: u64) -> Result<()> {
        self.0.submit(new_job("printer0", "application/octet-stream"), label(number)).await?;
        Ok(())
    }

    /// The poster is still on its way.
    async fn settle(&self) -> Result<()> {
        Ok(())
    }
}

async fn one(programs: &Programs, sheet: &mut Sheet, place: &Place, size: &Size) -> Result<()> {
    let dir = programs.dir.path().join("mixed").join(size.name.replace(['/', ' ', ','], ""));
    std::fs::create_dir_all(&dir).context("the folder")?;
    let expected = Expected::default();
    let waiting = expected.clone();
    let devices =
        place.devices(async move { Ok([printers(1, &waiting).await?, vec![swallow().await?]].concat()) });
    let devices = devices.await?;
    let ours = block_in_place(|| place.start(&dir, &devices))?;
    let (url, key) = (ours.broker.ready().pair_url.clone(), block_in_place(|| ours.broker.key("submit")));
    let url = url.parse().context("the broker's URL")?;
    let app = place.app(async move { Ok(Client::connect(url, key).await?) }).await?;
    let poster = block_in_place(|| poster(&dir, size.poster_bytes))?;
    let stage = Stage { place, size, app: app.clone(), labels: Arc::new(Labels(app)), expected, poster };
    stage.await_printers(ours).await?.turns(sheet, programs.rounds).await
}

/// Everything that takes part, with what keeps it alive.
struct Stage<'a> {
    place: &'a Place,
    size: &'a Size,
    app: Client,
    labels: Arc<Labels>,
    expected: Expected,
    poster: PathBuf,
}

struct Ready<'a> {
    stage: Stage<'a>,
    _ours: Ours,
}

impl<'a> Stage<'a> {
    async fn await_printers(self, ours: Ours) -> Result<Ready<'a>> {
        let app = self.app.clone();
        let ours = self.place.app(async move { ours.await_printers(&app, 2).await.map(|()| ours) }).await?;
        Ok(Ready { stage: self, _ours: ours })
    }

    /// Labels for one turn: p99 and rate.
    async fn labels(&self, run: Duration) -> Result<(f64, f64)> {
        let (labels, expected, in_flight) =
            (Arc::clone(&self.labels), self.expected.clone(), self.size.in_flight);
        let ran =
            self.place.app(async move { closed_loop(&labels, &expected, in_flight, run).await }).await?;
        Ok((percentile(&ran.whole_ms, 0.99).context("no label came")?, ran.per_s()))
    }

    /// The poster is at the broker and waits.
    async fn hang(&self) -> Result<JobId> {
        let (app, path) = (self.app.clone(), self.poster.clone());
        self.place
            .app(async move {
                let mut job = new_job("printer1", "application/octet-stream");
                job.hold = true;
                Ok(app.submit(job, Document::open(&path).await?).await?.id)
            })
            .await
    }

    async fn ask<F, T>(&self, ask: impl FnOnce(Client) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, inkwire_client::Error>> + Send + 'static,
        T: Send + 'static,
    {
        let asking = ask(self.app.clone());
        self.place.app(async move { Ok(asking.await?) }).await
    }

    async fn received(&self, poster: JobId) -> Result<(State, u64)> {
        let job = self.ask(move |app| async move { app.job(poster).await }).await?.job;
        Ok((job.state, job.received_bytes))
    }

    /// Labels beside the poster: p99, rate, and the poster's own MiB/s; none where it was through too early.
    async fn beside(&self) -> Result<Option<(f64, f64, f64)>> {
        let poster = self.hang().await?;
        self.ask(move |app| async move { app.release(poster).await }).await?;
        let end = Instant::now() + WITHIN;
        while self.received(poster).await?.1 == 0 {
            ensure!(Instant::now() < end, "the poster does not begin");
            sleep(LOOK_EVERY).await;
        }
        sleep(self.size.lead).await;
        let (began, (_, before)) = (Instant::now(), self.received(poster).await?);
        let (p99, rate) = self.labels(self.size.run).await?;
        let (state, after) = self.received(poster).await?;
        let poster_rate = (after - before) as f64 / MIB / began.elapsed().as_secs_f64();
        if state != State::Sending {
            return Ok(None);
        }
        self.ask(move |app| async move { app.cancel(poster).await }).await?;
        while !self.received(poster).await?.0.is_terminal() {
            ensure!(Instant::now() < end, "the poster is not canceled");
            sleep(LOOK_EVERY).await;
        }
        Ok(Some((p99, rate, poster_rate)))
    }
}

impl Ready<'_> {
    async fn turns(&self, sheet: &mut Sheet, rounds: usize) -> Result<()> {
        let (stage, size) = (&self.stage, self.stage.size);
        let named = |figure: &str| format!("{figure}, {}", size.name);
        stage.labels(size.run / 4).await?;
        for _ in 0..rounds {
            let (alone, alone_rate) = stage.labels(size.run).await?;
            let Some((beside, rate, poster)) = stage.beside().await? else {
                sheet.note(format!(
                    "{}: the poster was through before the labels were; that turn is left out",
                    size.name
                ));
                continue;
            };
            sheet.add(&named(ALONE), "ms", OURS, alone);
            sheet.add(&named(BESIDE), "ms", OURS, beside);
            sheet.add(&named(RATIO), "", OURS, beside / alone);
            sheet.add(&named(RATE), "", OURS, rate / alone_rate);
            sheet.add(&named(POSTER), "MiB/s", OURS, poster);
        }
        sheet.goal(&named(RATIO), Goal::ours(Kind::Must, Side::AtMost, 2.0));
        Ok(())
    }
}

/// A document without a hole: what a compressing line would make of one is nobody's question.
fn poster(dir: &Path, bytes: u64) -> Result<PathBuf> {
    let path = dir.join("poster");
    let mut file = std::fs::File::create(&path).context("the poster")?;
    let piece = noise(11, 1 << 20);
    for _ in 0..bytes >> 20 {
        file.write_all(&piece).context("the poster")?;
    }
    Ok(path)
}
