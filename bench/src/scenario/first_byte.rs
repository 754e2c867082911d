//! `first-byte`: one label at a time through an idle system.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use crate::device::Expected;
use crate::everybody::{CUPS, Crew, Everybody, NATS};
use crate::goal::{Goal, Kind, Side};
use crate::load::{Way, one};
use crate::peers::tls::{Certificates, Echo};
use crate::programs::Programs;
use crate::sheet::{OURS, Sheet};
use crate::stats::percentile;

const TLS: &str = "tls-round-trip";
const FDATASYNC: &str = "fdatasync";
/// The median and the tail of one round.
const P50: &str = "submission to first byte, p50";
const P99: &str = "submission to first byte, p99";
/// So long nothing happens before each label.
const PAUSE: Duration = Duration::from_millis(5);
const CREW: Crew = Crew { apps: 1, agents: 1, printers: 1 };

pub(crate) async fn run(programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    let labels = if programs.quick { 40 } else { 300 };
    let everybody = Everybody::start(programs, "first-byte", CREW).await?;
    everybody.describe(sheet);
    sheet.setting("labels a turn", labels);
    sheet.setting("pause before each", format!("{PAUSE:?}"));
    sheet.setting(TLS, "a document there and back over one bare TLS connection on loopback");
    sheet.setting(FDATASYNC, "4 KiB appended to a file and fdatasync, on the same disk");
    let Everybody { expected, ours, nats, cups, .. } = &everybody;
    let tls = Certificates::make(programs.dir.path())?;
    let mut echo = Echo::start(&tls).await?;
    for _ in 0..programs.rounds {
        add(sheet, OURS, &through(ours, expected, labels).await?);
        add(sheet, NATS, &through(nats, expected, labels).await?);
        // Its queue is idle again only when its back-end has ended.
        add(sheet, CUPS, &through(cups, expected, labels.min(50)).await?);
        let mut round_trips = Vec::with_capacity(labels);
        for _ in 0..labels {
            round_trips.push(echo.round_trip(crate::device::LABEL_BYTES).await?.as_secs_f64() * 1e3);
        }
        add(sheet, TLS, &round_trips);
        add(sheet, FDATASYNC, &block_in_place(|| fdatasyncs(programs.dir.path(), labels))?);
    }
    sheet.goal(P50, Goal::ours(Kind::Must, Side::AtMost, 3.0));
    sheet.goal(P99, Goal::ours(Kind::Must, Side::AtMost, 10.0));
    Ok(())
}

async fn through<W: Way>(way: &Arc<W>, expected: &Expected, labels: usize) -> Result<Vec<f64>> {
    let mut first_bytes = Vec::with_capacity(labels);
    for _ in 0..labels {
        tokio::time::sleep(PAUSE).await;
        let (_, first_byte) = one(way.as_ref(), expected, 0).await?;
        first_bytes.push(first_byte);
        way.settle().await?;
    }
    Ok(first_bytes)
}

/// What one durable write costs on this disk.
fn fdatasyncs(dir: &Path, count: usize) -> Result<Vec<f64>> {
    let mut file = std::fs::File::create(dir.join("fdatasync")).context("a file")?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&[7; 4096]).context("a file")?;
        file.sync_data().context("fdatasync")?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn add(sheet: &mut Sheet, subject: &'static str, times: &[f64]) {
    for (figure, share) in [(P50, 0.5), (P99, 0.99)] {
        if let Some(value) = percentile(times, share) {
            sheet.add(figure, "ms", subject, value);
        }
    }
}
