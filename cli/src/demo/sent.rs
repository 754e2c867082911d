//! What the broker sent, by its own log: it writes a line for each packet and each ack at TRACE.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Counts the packets of one document over all sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// How often each packet was sent.
    times: BTreeMap<u32, u32>,
    /// The first packet of each session, by epoch.
    first: BTreeMap<u64, u32>,
    /// The largest window that the agent granted, in packets.
    window: u32,
}

/// A line of the broker's log, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Line {
    message: Option<String>,
    seq: Option<u32>,
    credit: Option<u32>,
    span: Option<Span>,
}

#[derive(Debug, Deserialize)]
struct Span {
    epoch: Option<u64>,
}

impl Sent {
    /// Takes a line of the log; other lines than those of packets and acks change nothing.
    pub(super) fn on_line(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Line>(line) else { return };
        match (line.message.as_deref(), line.seq, line.credit) {
            (Some("packet sent"), Some(seq), _) => {
                *self.times.entry(seq).or_default() += 1;
                if let Some(epoch) = line.span.and_then(|span| span.epoch) {
                    self.first.entry(epoch).or_insert(seq);
                }
            }
            (Some("ack"), _, Some(credit)) => self.window = self.window.max(credit),
            _ => {}
        }
    }

    /// Packets sent, each as often as it was.
    pub(super) fn packets(&self) -> u64 {
        self.times.values().map(|&times| u64::from(times)).sum()
    }

    /// Packets sent again.
    pub(super) fn twice(&self) -> u64 {
        self.times.values().map(|&times| u64::from(times.saturating_sub(1))).sum()
    }

    /// Where the second session that sent packets took the transfer up.
    pub(super) fn resumed_at(&self) -> Option<u32> {
        self.first.values().nth(1).copied()
    }

    /// The largest window granted; 0 where no ack was seen.
    pub(super) fn window(&self) -> u32 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_over_sessions() {
        let mut sent = Sent::default();
        let packet = |epoch: u64, seq: u32| {
            format!(
                r#"{{"level":"TRACE","message":"packet sent","transfer":1,"seq":{seq},"span":{{"epoch":{epoch},"name":"session"}}}}"#
            )
        };
        for seq in 0..10 {
            sent.on_line(&packet(1, seq));
        }
        sent.on_line(r#"{"message":"ack","transfer":1,"next_seq":7,"credit":64}"#);
        sent.on_line(r#"{"message":"session began","level":"INFO"}"#);
        sent.on_line("not JSON");
        for seq in 7..12 {
            sent.on_line(&packet(2, seq));
        }
        assert_eq!((sent.packets(), sent.twice(), sent.resumed_at(), sent.window()), (15, 3, Some(7), 64));
    }
}
