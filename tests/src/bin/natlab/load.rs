//! The documents of a run, on their way and afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use inkwire_client::protocol::app::Job;
use inkwire_client::protocol::ids::{JobId, Sha256Digest};
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::limits::{DEFAULT_PACKET_BYTES, START_WINDOW_BYTES};
use inkwire_tests::documents;

use crate::app::{App, What};
use crate::site::{Device, Site};

/// Packets of the window that a receiver grants to begin with. The lab's lines are too slow for it to grow.
pub(crate) const WINDOW: u64 = START_WINDOW_BYTES / DEFAULT_PACKET_BYTES as u64;
/// The document must be cut in its middle; it is, when all are at least so far.
const CUT_FROM: f64 = 0.25;

/// One document on its way to a printer.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    /// Index of the device.
    pub(crate) device: usize,
    pub(crate) job: JobId,
    pub(crate) sha256: Sha256Digest,
    pub(crate) bytes: u64,
    pages: u32,
    /// What had come out of the printer before.
    before: usize,
}

/// How the documents of a run came out.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) intact: usize,
    pub(crate) printed_once: usize,
    pub(crate) uncertain: usize,
}

/// A document for a device: a PDF of pages with pictures for the printers that take PDF, noise for the others.
fn document(device: &Device, bytes: u64, seed: u64) -> (Vec<u8>, &'static str, u32) {
    if device.pc > 0 {
        let noise = documents::noise(seed, usize::try_from(bytes).unwrap_or(usize::MAX));
        return (noise, "application/octet-stream", 0);
    }
    let mut pages = 1;
    let mut pdf = inkwire::demo::document::make_pdf(pages);
    while (pdf.len() as u64) < bytes {
        pages = u32::try_from(bytes / (pdf.len() as u64 / u64::from(pages)) + 1)
            .unwrap_or(u32::MAX)
            .max(pages + 1);
        pdf = inkwire::demo::document::make_pdf(pages);
    }
    // A comment after the end: no two documents are the same.
    pdf.extend_from_slice(format!("\n% lab {seed}\n").as_bytes());
    (pdf, "application/pdf", pages)
}

/// Submits one document to each of these devices.
pub(crate) fn submit(
    site: &Site,
    devices: &[usize],
    bytes: u64,
    seed: u64,
    hold: bool,
) -> Result<Vec<Sheet>> {
    devices
        .iter()
        .map(|&index| {
            let device = &site.devices[index];
            let (body, format, pages) = document(device, bytes, seed * 100 + index as u64);
            let sha256 = Sha256Digest::of(&body);
            let before = device.copies(sha256, pages)?.all;
            let bytes = body.len() as u64;
            let job = site.app.submit(&device.name, format, body, hold)?;
            Ok(Sheet { device: index, job: job.id, sha256, bytes, pages, before })
        })
        .collect()
}

/// How much of each document is durable at its agent, 0 to 1, by what the app was told since.
pub(crate) fn progress(app: &App, told_from: usize, sheets: &[Sheet]) -> Vec<f64> {
    let told = app.told_since(told_from);
    let of = |sheet: &Sheet| {
        let bytes = told.iter().filter_map(|told| match &told.what {
            What::Progress(progress) if progress.job == sheet.job => Some(progress.received_bytes),
            What::Progress(_) | What::Event { .. } | What::Gap(_) => None,
        });
        bytes.max().unwrap_or(0) as f64 / sheet.bytes as f64
    };
    sheets.iter().map(of).collect()
}

/// Waits until every document is in its middle, and says how far each is.
pub(crate) fn until_in_flight(app: &App, told_from: usize, sheets: &[Sheet]) -> Result<Vec<f64>> {
    let begun = Instant::now();
    loop {
        let now = progress(app, told_from, sheets);
        if now.iter().all(|done| *done >= CUT_FROM) {
            return Ok(now);
        }
        if begun.elapsed() > Duration::from_secs(120) {
            bail!("the documents are not under way: {now:.2?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// When the first word came that something of each job is with its agent, Unix milliseconds.
pub(crate) fn reached(app: &App, told_from: usize, sheets: &[Sheet]) -> Option<f64> {
    let told = app.told_since(told_from);
    let first = |sheet: &Sheet| {
        let mut hits = told.iter().filter(|told| match &told.what {
            What::Progress(progress) => progress.job == sheet.job && progress.received_bytes > 0,
            What::Event { job, kind } => {
                *job == Some(sheet.job)
                    && ["job.spooled", "job.printing", "job.completed"].contains(&kind.as_str())
            }
            What::Gap(_) => false,
        });
        hits.next().map(|told| told.at_ms)
    };
    sheets.iter().map(first).try_fold(0.0, |latest: f64, at| Some(latest.max(at?)))
}

/// Where the app's events had a gap: none may.
pub(crate) fn gaps(app: &App, told_from: usize) -> Vec<String> {
    let told = app.told_since(told_from).into_iter();
    let gap = |told: crate::app::Told| if let What::Gap(gap) = told.what { Some(gap) } else { None };
    told.filter_map(gap).map(|gap| format!("the app missed events: {gap}")).collect()
}

/// Waits for the end of all jobs and looks into the printers.
pub(crate) fn settle(site: &Site, sheets: &[Sheet], within: Duration) -> Result<(Outcome, Vec<String>)> {
    let ids: Vec<_> = sheets.iter().map(|sheet| sheet.job).collect();
    let jobs = site.app.ended(&ids, within)?;
    let mut outcome = Outcome::default();
    let mut problems = Vec::new();
    for (sheet, job) in sheets.iter().zip(&jobs) {
        let device = &site.devices[sheet.device];
        let copies = device.copies(sheet.sha256, sheet.pages)?;
        let own = if device.rasters() { copies.intact.saturating_sub(sheet.before) } else { copies.intact };
        outcome.uncertain += usize::from(job.state == State::Uncertain);
        outcome.intact += usize::from(own > 0 && job.sha256 == Some(sheet.sha256));
        outcome.printed_once += usize::from(own == 1 && copies.all == sheet.before + 1);
        if job.state != State::Completed {
            problems.push(format!("{}: the job is {}{}", device.name, job.state, why(job)));
        }
    }
    Ok((outcome, problems))
}

fn why(job: &Job) -> String {
    job.reason.as_ref().map_or_else(String::new, |reason| format!(" ({}: {})", reason.code, reason.detail))
}

/// Packets of the shortest document.
pub(crate) fn packets_least(sheets: &[Sheet]) -> Result<u64> {
    let shortest = sheets.iter().map(|sheet| sheet.bytes).min().context("no documents")?;
    Ok(shortest.div_ceil(u64::from(DEFAULT_PACKET_BYTES)))
}
