//! What a scenario measured, and whether that is good enough. Pure.

use serde::Serialize;

/// Documents of fewer windows than this say nothing about windows.
const LEAST_WINDOWS: u64 = 8;
/// A silently dead path is noticed within this, with a transfer open.
pub(crate) const DETECTED_MS: f64 = 3000.0;
/// A change of the agent's own address is noticed within this.
pub(crate) const OWN_ADDRESS_MS: f64 = 500.0;
/// What this machine may take for a TLS handshake and a commit of unoptimised programs, beside the network.
const MACHINE_MS: f64 = 400.0;

/// One run, as `--json` prints it. What does not apply is null.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) scenario: String,
    pub(crate) idle: bool,
    pub(crate) documents: usize,
    pub(crate) intact: usize,
    pub(crate) printed_once: usize,
    pub(crate) uncertain: usize,
    /// Packets of one document that were sent twice, at most.
    pub(crate) sent_twice_max: Option<u64>,
    /// Packets of a window.
    pub(crate) window: u64,
    pub(crate) endpoint_updated: Option<bool>,
    pub(crate) detected_ms: Option<f64>,
    pub(crate) link_back_to_packet_ms: Option<f64>,
    pub(crate) submit_to_packet_ms: Option<f64>,
    pub(crate) ok: bool,
}

/// What a run must hold, and what was seen that no column shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// Packets of the shortest document.
    pub(crate) packets_least: u64,
    /// How far documents were when the link was cut, 0 to 1.
    pub(crate) cut_at: Vec<f64>,
    pub(crate) detected_ms: Option<f64>,
    /// Whether it must be detected at all.
    pub(crate) must_detect: bool,
    pub(crate) round_trip_ms: f64,
    /// How long after the link is back an agent may dial at the latest; none where the time runs from its SYN.
    pub(crate) dials_within_ms: Option<f64>,
    pub(crate) submit_to_packet_ms: Option<f64>,
    /// Resets that reached agents or broker; none where a killed process's system answers for it.
    pub(crate) resets: Option<u64>,
    /// Sessions that began during the run, where none may.
    pub(crate) reconnects: Option<u64>,
    /// Anything else that went wrong.
    pub(crate) problems: Vec<String>,
}

/// Everything that does not hold, in words.
pub(crate) fn problems(measured: &Measured, expected: &Expected) -> Vec<String> {
    let mut problems = expected.problems.clone();
    let mut must = |holds: bool, words: String| {
        if !holds {
            problems.push(words);
        }
    };
    let Measured { documents, intact, printed_once, uncertain, window, .. } = measured;
    must(*documents > 0, "no document was sent".into());
    must(intact == documents, format!("{intact} of {documents} documents are intact"));
    must(printed_once == documents, format!("{printed_once} of {documents} documents were printed once"));
    must(*uncertain == 0, format!("{uncertain} documents are uncertain"));
    if !measured.idle {
        let windows = expected.packets_least / (*window).max(1);
        must(
            windows >= LEAST_WINDOWS,
            format!("a document is {windows} windows long, less than {LEAST_WINDOWS}"),
        );
        let inside = expected.cut_at.iter().all(|at| (0.2..=0.8).contains(at));
        must(inside, format!("not every document was cut between 20 % and 80 %: {:.2?}", expected.cut_at));
    }
    if let Some(twice) = measured.sent_twice_max {
        must(twice <= *window, format!("{twice} packets were sent twice, a window is {window}"));
    }
    must(measured.endpoint_updated != Some(false), "the registry does not show the new endpoint".into());
    must(measured.detected_ms.is_some() || !expected.must_detect, "the change was not detected".into());
    for (what, found, limit) in [
        ("the change was detected after", measured.detected_ms, expected.detected_ms),
        ("the first packet came after", measured.link_back_to_packet_ms, packet_within(expected)),
        ("the job reached its agent after", measured.submit_to_packet_ms, expected.submit_to_packet_ms),
    ] {
        if let (Some(found), Some(limit)) = (found, limit) {
            must(found <= limit, format!("{what} {found:.0} ms, more than {limit:.0} ms"));
        }
    }
    let resets = expected.resets.unwrap_or(0);
    must(resets == 0, format!("{resets} resets reached agents or broker"));
    let reconnects = expected.reconnects.unwrap_or(0);
    must(reconnects == 0, format!("{reconnects} reconnects on a line that works"));
    problems
}

/// Four round trips after the first SYN that gets through, and the wait for that SYN where time runs from the link's return.
fn packet_within(expected: &Expected) -> Option<f64> {
    Some(expected.dials_within_ms.unwrap_or(0.0) + 4.0 * expected.round_trip_ms + MACHINE_MS)
}

/// The table that people read.
pub(crate) fn table(rows: &[Measured]) -> String {
    let mut text = format!(
        "{:15} {:5} {:>5} {:>7} {:>5} {:>5} {:>6} {:>7} {:>9} {:>10} {:>10} {:>10}  {}\n",
        "scenario",
        "",
        "docs",
        "intact",
        "once",
        "unsrt",
        "twice",
        "window",
        "endpoint",
        "detected",
        "to packet",
        "submitted",
        "ok"
    );
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms"));
    for row in rows {
        let endpoint = match row.endpoint_updated {
            Some(true) => "updated",
            Some(false) => "STALE",
            None => "–",
        };
        let twice = row.sent_twice_max.map_or_else(|| "–".to_owned(), |packets| packets.to_string());
        text.push_str(&format!(
            "{:15} {:5} {:>5} {:>7} {:>5} {:>5} {:>6} {:>7} {:>9} {:>10} {:>10} {:>10}  {}\n",
            row.scenario,
            if row.idle { "idle" } else { "busy" },
            row.documents,
            row.intact,
            row.printed_once,
            row.uncertain,
            twice,
            row.window,
            endpoint,
            number(row.detected_ms),
            number(row.link_back_to_packet_ms),
            number(row.submit_to_packet_ms),
            if row.ok { "ok" } else { "FAILED" },
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Measured, Expected) {
        let measured = Measured {
            documents: 6,
            intact: 6,
            printed_once: 6,
            window: 64,
            sent_twice_max: Some(64),
            endpoint_updated: Some(true),
            detected_ms: Some(2999.0),
            link_back_to_packet_ms: Some(100.0),
            ..Measured::default()
        };
        let expected = Expected {
            packets_least: 64 * 8,
            cut_at: vec![0.2, 0.8],
            detected_ms: Some(DETECTED_MS),
            must_detect: true,
            resets: Some(0),
            ..Expected::default()
        };
        (measured, expected)
    }

    #[test]
    fn a_run_that_held_has_no_problem() {
        let (measured, expected) = good();
        assert_eq!(problems(&measured, &expected), Vec::<String>::new());
    }

    #[test]
    fn each_rule_is_missed_when_it_is_broken() {
        type Break = fn(&mut Measured, &mut Expected);
        let breaks: [Break; 13] = [
            |m, _| m.intact = 5,
            |m, _| m.printed_once = 5,
            |m, _| m.uncertain = 1,
            |m, _| m.sent_twice_max = Some(65),
            |m, _| m.endpoint_updated = Some(false),
            |m, _| m.detected_ms = Some(3001.0),
            |m, _| m.detected_ms = None,
            |m, _| m.link_back_to_packet_ms = Some(401.0),
            |_, e| e.packets_least = 64 * 8 - 1,
            |_, e| e.cut_at.push(0.81),
            |_, e| e.resets = Some(1),
            |_, e| e.reconnects = Some(1),
            |_, e| e.problems.push("else".into()),
        ];
        for (number, broken) in breaks.into_iter().enumerate() {
            let (mut measured, mut expected) = good();
            broken(&mut measured, &mut expected);
            assert_eq!(problems(&measured, &expected).len(), 1, "break {number}");
        }
    }
}
