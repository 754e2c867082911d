//! A closed loop: so many jobs in flight at all times, each the next one's permission.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::device::Expected;

/// A label that has not arrived by then is lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// Numbers of labels; no two of a run are alike.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// One way for labels to go.
pub(crate) trait Way: Send + Sync + 'static {
    /// Submits the label of this number; returns when it is accepted. No two calls with the same slot run at once.
    fn submit(&self, slot: usize, number: u64) -> impl Future<Output = Result<()>> + Send;

    /// Returns when nothing is left to do for what was submitted.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What came of a loop.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) elapsed: Duration,
    /// From the submission until it was both accepted and whole at the device.
    pub(crate) whole_ms: Vec<f64>,
    /// From the submission to the first byte at the device.
    pub(crate) first_byte_ms: Vec<f64>,
}

impl Ran {
    pub(crate) fn jobs(&self) -> f64 {
        self.whole_ms.len() as f64
    }

    pub(crate) fn per_s(&self) -> f64 {
        self.jobs() / self.elapsed.as_secs_f64()
    }
}

/// Keeps so many labels in flight for so long, then waits until all is settled: that time counts, too.
pub(crate) async fn closed_loop<W: Way>(
    way: &Arc<W>,
    expected: &Expected,
    in_flight: usize,
    run: Duration,
) -> Result<Ran> {
    let began = Instant::now();
    let mut slots = JoinSet::new();
    for slot in 0..in_flight {
        let (way, expected) = (Arc::clone(way), expected.clone());
        slots.spawn(async move {
            let mut mine = Vec::new();
            while began.elapsed() < run {
                mine.push(one(way.as_ref(), &expected, slot).await?);
            }
            anyhow::Ok(mine)
        });
    }
    let mut ran = Ran::default();
    while let Some(slot) = slots.join_next().await {
        for (whole, first_byte) in slot.context("a slot failed")?? {
            ran.whole_ms.push(whole);
            ran.first_byte_ms.push(first_byte);
        }
    }
    way.settle().await?;
    ran.elapsed = began.elapsed();
    Ok(ran)
}

/// One label from end to end: milliseconds until it was whole, and until its first byte came.
pub(crate) async fn one<W: Way>(way: &W, expected: &Expected, slot: usize) -> Result<(f64, f64)> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let arrives = expected.expect(number);
    let began = Instant::now();
    way.submit(slot, number).await?;
    let accepted = Instant::now();
    let arrived = tokio::time::timeout(ARRIVES_WITHIN, arrives)
        .await
        .with_context(|| format!("label {number} was accepted and never came"))?
        .context("nobody listens for labels")?;
    ensure!(arrived.intact, "label {number} came damaged");
    let ms = |until: Instant| until.saturating_duration_since(began).as_secs_f64() * 1e3;
    Ok((ms(arrived.whole.max(accepted)), ms(arrived.first_byte)))
}
