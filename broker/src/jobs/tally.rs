//! How many packets of a document were sent, how many of them twice. Pure.

use inkwire_protocol::ids::Attempt;
use serde_json::{Map, Value};

use crate::sessions::link::Sent;

/// The count of one attempt, over all its sessions since the broker's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) attempt: Attempt,
    /// Sent in sessions before.
    before: u64,
    now: Sent,
    /// Every packet below was sent at least once.
    reached: u32,
    window: u32,
}

impl Tally {
    /// What is at the agent already was sent once, as far as this process knows.
    pub(super) fn new(attempt: Attempt, next_seq: u32) -> Self {
        let now = Sent { first: next_seq, next: next_seq, window: 0 };
        Self { attempt, before: u64::from(next_seq), now, reached: next_seq, window: 0 }
    }

    /// A session begins to send at `next_seq`.
    pub(super) fn begin(&mut self, next_seq: u32) {
        self.before = self.sent();
        self.now = Sent { first: next_seq, next: next_seq, window: 0 };
    }

    /// What the present session has sent so far.
    pub(super) fn note(&mut self, sent: Sent) {
        if sent.first == self.now.first && sent.next >= self.now.next {
            self.now = sent;
            self.reached = self.reached.max(sent.next);
            self.window = self.window.max(sent.window);
        }
    }

    /// Packets that were sent and must be sent again if it goes on at `next_seq`.
    pub(super) fn again_from(&self, next_seq: u32) -> u32 {
        self.reached.saturating_sub(next_seq)
    }

    fn sent(&self) -> u64 {
        self.before + u64::from(self.now.next - self.now.first)
    }

    /// For the event that says that all `packets` have come.
    pub(super) fn summary(&self, packets: u32) -> Map<String, Value> {
        let sent = self.sent().max(u64::from(packets));
        let pairs = [
            ("packets", u64::from(packets)),
            ("sent_packets", sent),
            ("sent_twice", sent - u64::from(packets)),
            ("window_packets", u64::from(self.window)),
        ];
        pairs.into_iter().map(|(name, count)| (name.to_owned(), Value::from(count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(first: u32, next: u32, window: u32) -> Sent {
        Sent { first, next, window }
    }

    #[test]
    fn what_is_on_its_way_at_a_cut_is_sent_twice() {
        let mut tally = Tally::new(Attempt(1), 0);
        tally.begin(0);
        tally.note(sent(0, 40, 64));
        tally.note(sent(0, 100, 32));
        assert_eq!(tally.again_from(90), 10);
        tally.begin(90);
        tally.note(sent(0, 101, 9999));
        tally.note(sent(90, 200, 16));
        let summary = tally.summary(200);
        assert_eq!(
            (
                &summary["packets"],
                &summary["sent_packets"],
                &summary["sent_twice"],
                &summary["window_packets"]
            ),
            (&200.into(), &210.into(), &10.into(), &64.into())
        );
    }

    #[test]
    fn what_an_earlier_process_sent_counts_once() {
        let mut tally = Tally::new(Attempt(2), 70);
        tally.begin(70);
        assert_eq!(tally.again_from(70), 0);
        tally.note(sent(70, 100, 64));
        assert_eq!(
            (&tally.summary(100)["sent_packets"], &tally.summary(100)["sent_twice"]),
            (&100.into(), &0.into())
        );
    }
}
