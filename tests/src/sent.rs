//! Which packets the broker sent, read from its log (`INKWIRE_LOG=inkwire_broker::sessions=trace`). Pure.

use std::collections::{BTreeMap, BTreeSet};

/// One packet that the broker gave to a socket.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Unix milliseconds.
    pub at_ms: f64,
    /// The agent's id.
    pub agent: String,
    /// Its session's.
    pub epoch: u64,
    /// The printer's number at its agent.
    pub printer: u16,
    /// Its place in the document.
    pub seq: u32,
}

/// All of them, in order.
pub fn packets(log: &str) -> Vec<Sent> {
    log.lines().filter(|line| line.contains("packet sent")).filter_map(parse).collect()
}

/// How many packets of one document were sent more than once, for the document that had most of them. In the given stretch
/// of the log every printer gets one document.
pub fn twice_max(packets: &[Sent]) -> u64 {
    let mut documents: BTreeMap<(&str, u16), (u64, BTreeSet<u32>)> = BTreeMap::new();
    for packet in packets {
        let (sent, distinct) = documents.entry((&packet.agent, packet.printer)).or_default();
        *sent += 1;
        distinct.insert(packet.seq);
    }
    documents.values().map(|(sent, distinct)| sent - distinct.len() as u64).max().unwrap_or(0)
}

/// `2026-11-22T16:33:36.123456Z TRACE session{agent=A epoch=3}: ...: packet sent transfer=1 printer=2 seq=12`
fn parse(line: &str) -> Option<Sent> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!("{name}="))?;
        rest.split([' ', '}', ',']).next().map(|value| value.trim_matches('"'))
    };
    Some(Sent {
        at_ms: unix_ms(line.split_whitespace().next()?)?,
        agent: field("agent")?.to_owned(),
        epoch: field("epoch")?.parse().ok()?,
        printer: field("printer")?.parse().ok()?,
        seq: field("seq")?.parse().ok()?,
    })
}

/// RFC 3339 in UTC to Unix milliseconds (days by Hinnant's `days_from_civil`).
fn unix_ms(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let mut time = time.split(':');
    let hours: f64 = time.next()?.parse().ok()?;
    let minutes: f64 = time.next()?.parse().ok()?;
    let seconds: f64 = time.next()?.parse().ok()?;
    Some((days as f64 * 86_400.0 + hours * 3600.0 + minutes * 60.0 + seconds) * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: u64, printer: u16, seq: u32) -> String {
        format!(
            "2026-11-22T16:33:36.500000Z TRACE session{{agent=0198 epoch={epoch}}}: inkwire_broker::sessions::packets: \
             packet sent transfer=1 printer={printer} seq={seq}"
        )
    }

    #[test]
    fn lines_of_the_log_are_read() {
        let log = format!("{}\nnoise\n", line(3, 2, 12));
        let at_ms = 1_795_365_216_500.0;
        assert_eq!(packets(&log), [Sent { at_ms, agent: "0198".into(), epoch: 3, printer: 2, seq: 12 }]);
        assert_eq!(unix_ms("1970-01-01T00:00:01.5Z"), Some(1500.0));
        assert_eq!(unix_ms("2000-03-01T00:00:00Z"), Some(951_868_800_000.0));
    }

    #[test]
    fn what_is_sent_twice_is_counted_a_document() {
        let lines: Vec<String> = [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 1, 1), (2, 1, 2), (2, 2, 1)]
            .map(|(e, p, s)| line(e, p, s))
            .into();
        assert_eq!(twice_max(&packets(&lines.join("\n"))), 1);
        assert_eq!(twice_max(&[]), 0);
    }
}
