//! What each cut cost, by the packets that the broker sent and by what the line saw. Pure.

use inkwire_protocol::limits::DEFAULT_PACKET_BYTES;
use inkwire_tests::sent::Sent;

use crate::line::Cut;

/// One document that went on in its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Resumed {
    /// Sent before the cut and again after it.
    pub(crate) twice_bytes: u64,
    /// What sending the whole document anew would have repeated.
    pub(crate) whole_bytes: u64,
    /// From the cut to the first dial.
    pub(crate) detected_ms: Option<f64>,
    /// From the first dial that got through to the next packet.
    pub(crate) through_ms: Option<f64>,
    /// The same from when the line was back, where the agent had noticed the cut before.
    pub(crate) back_ms: Option<f64>,
}

/// By the packets of one agent, whose documents came one after the other, and the cuts of its line. What was cut before its first
/// packet or after its last was not cut in its middle.
pub(crate) fn resumed(packets: &[Sent], cuts: &[Cut], packets_each: u32) -> Vec<Resumed> {
    let next = |(at, cut): (usize, &Cut)| {
        let until = cuts.get(at + 1).map_or(f64::INFINITY, |next| next.at_ms);
        let (before, after): (Vec<&Sent>, Vec<&Sent>) =
            packets.iter().filter(|packet| packet.at_ms < until).partition(|packet| packet.at_ms < cut.at_ms);
        let epoch = before.last()?.epoch;
        // The broker may go on for a while with what the line swallows.
        let old = before.iter().copied().chain(after.iter().copied().filter(|packet| packet.epoch == epoch));
        let last = old.last()?.seq;
        let first = after.iter().find(|packet| packet.epoch > epoch)?;
        if last + 1 >= packets_each || (first.seq == 0 && last > 0) {
            return None;
        }
        let bytes = |packets: u32| u64::from(packets) * u64::from(DEFAULT_PACKET_BYTES);
        Some(Resumed {
            twice_bytes: bytes((last + 1).saturating_sub(first.seq)),
            whole_bytes: bytes(last + 1),
            detected_ms: cut.dialled_ms.map(|at| at - cut.at_ms),
            through_ms: cut.through_ms.map(|at| first.at_ms - at),
            back_ms: cut.dialled_ms.filter(|at| *at < cut.back_ms).map(|_| first.at_ms - cut.back_ms),
        })
    };
    cuts.iter().enumerate().filter_map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at_ms: f64, epoch: u64, seq: u32) -> Sent {
        Sent { at_ms, agent: String::new(), epoch, printer: 1, seq }
    }

    fn cut(at_ms: f64, back_ms: f64, dialled_ms: f64, through_ms: f64) -> Cut {
        Cut { at_ms, back_ms, dialled_ms: Some(dialled_ms), through_ms: Some(through_ms) }
    }

    #[test]
    fn packets_that_come_again_are_counted_from_where_it_goes_on() {
        let packets = [sent(1.0, 1, 0), sent(2.0, 1, 1), sent(3.5, 1, 2), sent(20.0, 2, 1), sent(21.0, 2, 2)];
        let cuts = [cut(3.0, 10.0, 6.0, 11.0)];
        let packet = u64::from(DEFAULT_PACKET_BYTES);
        let expected = Resumed {
            twice_bytes: 2 * packet,
            whole_bytes: 3 * packet,
            detected_ms: Some(3.0),
            through_ms: Some(9.0),
            back_ms: Some(10.0),
        };
        assert_eq!(resumed(&packets, &cuts, 10), [expected]);
        // All of it had been sent: the next packet is not its own.
        assert_eq!(resumed(&packets, &cuts, 3), []);
    }

    #[test]
    fn each_cut_has_the_packets_until_the_next() {
        let packets = [sent(1.0, 1, 0), sent(5.0, 2, 1), sent(9.0, 3, 2)];
        let cuts = [cut(2.0, 2.0, 4.0, 4.0), cut(6.0, 6.0, 8.0, 8.0)];
        let all = resumed(&packets, &cuts, 10);
        assert_eq!(all.iter().map(|it| it.twice_bytes).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(all.iter().map(|it| it.back_ms).collect::<Vec<_>>(), [None, None]);
    }
}
