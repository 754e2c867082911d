//! The newest runs of one log, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use inkwire_protocol::ids::EventOffset;

use super::run::Run;
use crate::limits::FEED_BYTES;

#[derive(Debug, Default)]
pub(super) struct Ring {
    runs: VecDeque<Arc<Run>>,
    bytes: usize,
}

/// Where the event after a place is.
#[derive(Debug)]
pub(super) enum Found {
    Here(Arc<Run>),
    /// Older than what is kept: it is in the log.
    Behind,
    /// It has not been published.
    Nothing,
}

impl Ring {
    /// The newest run; the oldest leave.
    pub(super) fn push(&mut self, run: Arc<Run>) {
        self.bytes += run.bytes();
        self.runs.push_back(run);
        while self.bytes > FEED_BYTES && self.runs.len() > 1 {
            if let Some(gone) = self.runs.pop_front() {
                self.bytes -= gone.bytes();
            }
        }
    }

    pub(super) fn after(&self, offset: EventOffset) -> Found {
        let wanted = offset.0.saturating_add(1);
        let at = self.runs.partition_point(|run| run.through.0 < wanted);
        match self.runs.get(at) {
            Some(run) if run.first.0 <= wanted => Found::Here(run.clone()),
            Some(_) => Found::Behind,
            None => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::app::Event;
    use inkwire_protocol::ids::StoreEpoch;
    use serde_json::Value;
    use uuid::Uuid;

    fn run(offsets: std::ops::RangeInclusive<u64>, bytes: usize) -> Arc<Run> {
        let event = |offset| Event {
            offset: EventOffset(offset),
            at_ms: 0,
            kind: "job.reason".into(),
            job: None,
            agent: None,
            printer: None,
            data: Value::from("x".repeat(bytes)),
        };
        Arc::new(Run::of(StoreEpoch::from_uuid(Uuid::nil()), offsets.map(event).collect()).unwrap())
    }

    #[test]
    fn the_newest_are_found_and_the_oldest_leave() {
        let mut ring = Ring::default();
        assert!(matches!(ring.after(EventOffset(0)), Found::Nothing));
        ring.push(run(5..=6, 10));
        ring.push(run(7..=9, 10));
        assert!(matches!(ring.after(EventOffset(3)), Found::Behind));
        for (after, first) in [(4, 5), (5, 5), (6, 7), (8, 7)] {
            let Found::Here(run) = ring.after(EventOffset(after)) else { panic!("{after}") };
            assert_eq!(run.first.0, first);
        }
        assert!(matches!(ring.after(EventOffset(9)), Found::Nothing));
        ring.push(run(10..=10, FEED_BYTES / 5));
        ring.push(run(11..=11, FEED_BYTES / 5));
        assert!(matches!(ring.after(EventOffset(9)), Found::Behind));
        assert!(ring.bytes <= FEED_BYTES);
        ring.push(run(12..=12, FEED_BYTES));
        assert!(matches!(ring.after(EventOffset(11)), Found::Here(_)), "one is always kept");
    }
}
