//! What `inkwire demo --json` prints, and whether everything held.

use std::net::SocketAddr;

use inkwire_client::protocol::ids::{Epoch, Sha256Digest};
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::Witness;
use serde::Serialize;

/// The one object.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) document: DocumentReport,
    pub(super) printed: Printed,
    pub(super) packets: Packets,
    pub(super) cut: Cut,
    /// Where the broker saw the agent, in order.
    pub(super) endpoints: Vec<SocketAddr>,
    /// The sessions, in order.
    pub(super) epochs: Vec<Epoch>,
    pub(super) job: JobReport,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct DocumentReport {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: Sha256Digest,
}

/// What was found where the printer puts its pages.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Printed {
    /// Of the first file found.
    pub(super) sha256: Option<Sha256Digest>,
    /// Files found.
    pub(super) copies: usize,
}

/// Counts of packets.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Packets {
    /// In the document.
    pub(super) total: u64,
    /// Sent by the broker, all sessions together.
    pub(super) sent: u64,
    /// Sent again.
    pub(super) sent_twice: u64,
    /// The largest window that the agent granted.
    pub(super) window: u64,
}

/// The cut; times run from the instant at which the router went silent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cut {
    /// The packet at which the transfer went on.
    pub(super) at_packet: Option<u32>,
    /// Until the agent's new dial reached the router.
    pub(super) detected_ms: Option<f64>,
    /// Until the first new packet came through the router.
    pub(super) resumed_ms: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct JobReport {
    pub(super) state: State,
    pub(super) witness: Option<Witness>,
}

impl Report {
    /// What did not hold, in words; empty where everything did.
    pub(super) fn broken(&self) -> Vec<String> {
        let Self { document, printed, packets, cut, endpoints, epochs, job } = self;
        let mut broken = Vec::new();
        let mut must = |holds: bool, words: String| {
            if !holds {
                broken.push(words);
            }
        };
        must(printed.copies == 1, format!("the printer got {} copies instead of one", printed.copies));
        must(printed.sha256 == Some(document.sha256), "what was printed is not what was submitted".into());
        must(job.state == State::Completed, format!("the job is {} instead of completed", job.state));
        must(job.witness == Some(Witness::Stored), "the job does not say that its file is stored".into());
        must(
            packets.sent == packets.total + packets.sent_twice,
            format!("{} packets were sent for a document of {}", packets.sent, packets.total),
        );
        must(
            packets.sent_twice <= packets.window,
            format!(
                "{} packets were sent twice, more than one window of {}",
                packets.sent_twice, packets.window
            ),
        );
        let (low, high) = (packets.total / 5, packets.total * 4 / 5);
        let at = cut.at_packet.map(u64::from);
        must(
            at.is_some_and(|at| (low..=high).contains(&at)),
            format!("the cut was not in the middle: packet {at:?} of {}", packets.total),
        );
        must(cut.resumed_ms.is_some(), "no packet came through the new mapping".into());
        let moved =
            endpoints.first().zip(endpoints.last()).is_some_and(|(first, last)| first.ip() != last.ip());
        must(moved, "the broker saw no change of the public address".into());
        must(epochs.len() >= 2 && epochs.is_sorted(), "the agent did not begin a second session".into());
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let sha256 = Sha256Digest::of(b"x");
        Report {
            document: DocumentReport { name: "x.pdf".into(), bytes: 1, sha256 },
            printed: Printed { sha256: Some(sha256), copies: 1 },
            packets: Packets { total: 1000, sent: 1040, sent_twice: 40, window: 64 },
            cut: Cut { at_packet: Some(500), detected_ms: Some(1900.0), resumed_ms: Some(1950.0) },
            endpoints: vec!["127.0.0.21:1".parse().unwrap(), "127.0.0.22:2".parse().unwrap()],
            epochs: vec![Epoch(1), Epoch(2)],
            job: JobReport { state: State::Completed, witness: Some(Witness::Stored) },
        }
    }

    #[test]
    fn everything_held() {
        assert_eq!(good().broken(), Vec::<String>::new());
    }

    #[test]
    fn each_promise_can_be_broken() {
        let changes: [fn(&mut Report); 9] = [
            |report| report.printed.copies = 2,
            |report| report.printed.sha256 = None,
            |report| report.job.state = State::Uncertain,
            |report| report.packets.sent_twice = 65,
            |report| report.packets.sent = 1000,
            |report| report.cut.at_packet = Some(900),
            |report| report.cut.resumed_ms = None,
            |report| report.endpoints = vec!["127.0.0.21:1".parse().unwrap()],
            |report| report.epochs = vec![Epoch(1)],
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut report = good();
            change(&mut report);
            assert!(!report.broken().is_empty(), "change {number}");
        }
    }
}
