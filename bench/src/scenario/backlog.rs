//! `backlog`: how a broker starts, and how fast labels go through it, with very many jobs in its store.

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use inkwire_client::new_job;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Advice, fadvise, statvfs};
use tokio::task::block_in_place;

use crate::backlog::fill;
use crate::device::{Expected, label, printers};
use crate::everybody::Crew;
use crate::goal::{Goal, Kind, Side};
use crate::load::{Ran, closed_loop, one};
use crate::ours::Ours;
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;
use crate::ways::inkwire::Inkwire;

/// How much of everything. The first backlog is what the others are compared with.
struct Size {
    crew: Crew,
    backlogs: &'static [u64],
    in_flight: usize,
    run: Duration,
    warm_up: Duration,
    /// Jobs that retention takes away in its turn.
    swept: u64,
}

const FULL: Size = Size {
    crew: Crew { apps: 16, agents: 20, printers: 100 },
    backlogs: &[10_000, 1_000_000, 10_000_000],
    in_flight: 64,
    run: Duration::from_secs(5),
    warm_up: Duration::from_secs(1),
    swept: 20_000,
};
const QUICK: Size = Size {
    crew: Crew { apps: 2, agents: 2, printers: 8 },
    backlogs: &[10_000, 100_000],
    in_flight: 16,
    run: Duration::from_millis(700),
    warm_up: Duration::from_millis(200),
    swept: 500,
};
/// Jobs that a person holds back: they are there before anything else.
const HELD: usize = 20;
/// One real job in so many is canceled.
const CANCELED_OF: usize = 50;
/// What a job takes on the disk at most, with its index entries, events and its share of documents.
const BYTES_A_JOB: u64 = 2_000;

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let size = if programs.quick { &QUICK } else { &FULL };
    let dir = programs.dir.path().join("backlog");
    std::fs::create_dir_all(&dir).context("the folder")?;
    let need = size.backlogs.iter().sum::<u64>() * BYTES_A_JOB;
    let disk = statvfs(&dir).context("the disk")?;
    ensure!(
        disk.f_bavail * disk.f_frsize > need,
        "{} MB are needed on the disk of {}",
        need >> 20,
        dir.display()
    );
    describe(sheet, size);
    let expected = Expected::default();
    let mut shops = Vec::new();
    for &jobs in size.backlogs {
        let shop = Shop::open(&dir.join(jobs.to_string()), jobs, size, &expected).await;
        shops.push(shop.with_context(|| format!("a store with {jobs} jobs"))?);
    }
    for _ in 0..programs.rounds {
        let mut least = None;
        for shop in &mut shops {
            let rate = turn(sheet, shop, size, &expected).await?;
            let least = *least.get_or_insert(rate);
            if shop.jobs > size.backlogs[0] {
                sheet.add(&with(RATIO, shop.jobs), "", OURS, rate / least);
            }
        }
    }
    for shop in &shops {
        sheet.goal(&with(START, shop.jobs), Goal::ours(Kind::Must, Side::AtMost, 2.0));
        sheet.goal(&with(RATIO, shop.jobs), Goal::ours(Kind::Must, Side::AtLeast, 0.8));
    }
    let last = shops.last_mut().context("a backlog")?;
    retention(sheet, last, size, &expected).await
}

const START: &str = "start, after kill -9, nothing of the store cached";
const RATE: &str = "jobs a second";
const RATIO: &str = "jobs a second, of those with the smallest backlog";
const P99: &str = "latency p99";

fn with(what: &str, jobs: u64) -> String {
    format!("{what}, {jobs} jobs in the store")
}

/// A broker with a backlog, its agents and apps.
struct Shop {
    jobs: u64,
    config: PathBuf,
    way: Arc<Inkwire>,
}

impl Shop {
    /// Starts everything, makes real jobs, and copies them until there are so many.
    async fn open(dir: &Path, jobs: u64, size: &Size, expected: &Expected) -> Result<Self> {
        let Crew { apps, agents, printers: count } = size.crew;
        std::fs::create_dir_all(dir).context("the folder")?;
        let config = dir.join("broker.toml");
        File::create(&config).context("the configuration")?;
        let devices = printers(count, expected).await?;
        let args = ["--config", config.to_str().context("the folder's name")?];
        let ours = block_in_place(|| Ours::start_with(dir, agents, &devices, &args));
        let apps = ours.apps(apps).await?;
        ours.await_printers(&apps[0], count).await?;
        let mut way = Inkwire { ours, apps, printers: count };
        let made =
            stream::iter(0..2 * count).map(|slot| one(&way, expected, slot)).buffer_unordered(size.in_flight);
        made.try_for_each(|_| async { Ok(()) }).await?;
        for number in 0..HELD + 2 * count / CANCELED_OF + 1 {
            let mut job = new_job(format!("printer{}", number % count), "application/octet-stream");
            job.hold = true;
            let job = way.apps[0].submit(job, label(0)).await?;
            if number >= HELD {
                way.apps[0].cancel(job.id).await?;
            }
        }
        way.ours.await_completed(&way.apps[0]).await?;
        block_in_place(|| way.ours.rest())?;
        let this = Self { jobs, config, way: Arc::new(way) };
        let began = Instant::now();
        block_in_place(|| fill(&this.store(), jobs))?;
        let bytes = this.store().metadata().context("the store")?.len();
        eprintln!(
            "backlog: {jobs} jobs, {} MB, in {:.0} s",
            bytes / 1_000_000,
            began.elapsed().as_secs_f64()
        );
        Ok(this)
    }

    fn store(&self) -> PathBuf {
        self.way.ours.broker.data().join("store.sqlite3")
    }

    /// Starts broker and agents; how long the broker took until it served.
    async fn wake(&mut self) -> Result<Duration> {
        for name in ["store.sqlite3", "store.sqlite3-wal"] {
            forget(&self.way.ours.broker.data().join(name))?;
        }
        let way = Arc::get_mut(&mut self.way).context("somebody still prints")?;
        let took = block_in_place(|| way.ours.wake());
        let apps = way.ours.apps(way.apps.len()).await?;
        way.apps = apps;
        way.ours.await_online(&way.apps[0]).await?;
        Ok(took)
    }

    /// kill -9 of everything.
    fn kill(&mut self) -> Result<()> {
        let way = Arc::get_mut(&mut self.way).context("somebody still prints")?;
        block_in_place(|| way.ours.kill());
        Ok(())
    }
}

/// Start, warm up, measure, kill. Gives the rate.
async fn turn(sheet: &mut Sheet, shop: &mut Shop, size: &Size, expected: &Expected) -> Result<f64> {
    let start = shop.wake().await?;
    closed_loop(&shop.way, expected, size.in_flight, size.warm_up).await?;
    let ran = closed_loop(&shop.way, expected, size.in_flight, size.run).await?;
    shop.kill()?;
    sheet.add(&with(START, shop.jobs), "s", OURS, start.as_secs_f64());
    add(sheet, &ran, |what| with(what, shop.jobs));
    Ok(ran.per_s())
}

fn add(sheet: &mut Sheet, ran: &Ran, name: impl Fn(&str) -> String) {
    sheet.add(&name(RATE), "1/s", OURS, ran.per_s());
    if let Some(p99) = percentile(&ran.whole_ms, 0.99) {
        sheet.add(&name(P99), "ms", OURS, p99);
    }
}

/// The same rate while rows of the oldest jobs leave, which begins when the broker does.
async fn retention(sheet: &mut Sheet, shop: &mut Shop, size: &Size, expected: &Expected) -> Result<()> {
    let swept = size.swept.min(shop.jobs / 2);
    let store = shop.store();
    let reader = || Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let nth = "SELECT (unixepoch('subsec') * 1000 - ended_ms) / 1000 FROM jobs WHERE ended_ms IS NOT NULL AND kept = 0
        ORDER BY ended_ms LIMIT 1 OFFSET ?1";
    let jobs_s: f64 =
        reader().and_then(|db| db.query_row(nth, [swept], |row| row.get(0))).context("the store")?;
    std::fs::write(&shop.config, format!("[retention]\njobs_s = {}\n", jobs_s as u64))
        .context("the configuration")?;
    let began = Instant::now();
    shop.wake().await?;
    let oldest = || -> Result<u64> {
        let sql = "SELECT min(number) FROM jobs WHERE kept = 0 AND ended_ms IS NOT NULL";
        reader().and_then(|db| db.query_row(sql, [], |row| row.get(0))).context("the store")
    };
    let (from, loop_began) = (oldest()?, began.elapsed());
    let ran = closed_loop(&shop.way, expected, size.in_flight, size.run).await?;
    let gone = (oldest()? - from) as f64 / (began.elapsed() - loop_began).as_secs_f64();
    shop.kill()?;
    add(sheet, &ran, |what| format!("{what}, while retention sweeps, {} jobs in the store", shop.jobs));
    sheet.add("jobs that retention takes away meanwhile", "1/s", OURS, gone);
    if gone * size.run.as_secs_f64() > swept as f64 * 0.95 {
        sheet.note(format!("retention was through with its {swept} jobs before the labels were"));
    }
    Ok(())
}

/// Lets the kernel drop what it has cached of a file.
fn forget(path: &Path) -> Result<()> {
    let named = |error: &dyn Display| anyhow::anyhow!("{}: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(named(&error)),
    };
    // What is not on the disk yet cannot be dropped.
    file.sync_all().map_err(|error| named(&error))?;
    fadvise(&file, 0, None, Advice::DontNeed).map_err(|error| named(&error))
}

fn describe(sheet: &mut Sheet, size: &Size) {
    let Crew { apps, agents, printers } = size.crew;
    sheet.setting(
        "crew",
        format!("{apps} apps, {agents} agents, {printers} printers, {} in flight", size.in_flight),
    );
    sheet.setting("a turn", format!("{:?} after {:?} to warm up", size.run, size.warm_up));
    sheet.setting(
        "backlog",
        format!(
            "real jobs, copied with all their rows over 89 days; one in {CANCELED_OF} canceled, the others completed; documents \
             of the last week, {HELD} held"
        ),
    );
    sheet.setting(OURS, "broker and agents with a user's defaults, as `labels`");
}
