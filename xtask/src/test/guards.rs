//! What the bench's quick figures must not exceed in a test. Pure.
//!
//! Loose on purpose: what is guarded here is counted, not timed, so a busy machine changes none of it.

use serde_json::Value;

use super::tally::Tally;

/// Scenario, figure, and the most that ours may be.
const GUARDS: &[(&str, &str, f64)] = &[
    // Its 200 sessions carry what a process takes once (50 and 160 KB each were seen); a library's default buffers a session
    // would show. It is 10,000 of a release build that the bench holds to 14 and 20 KB.
    ("sessions", "RSS a session, fresh", 100.0),
    ("sessions", "RSS a session, a minute after a document", 300.0),
    // DESIGN.md's six, and as much again for what a run of few jobs carries alone.
    ("labels", "fsyncs a job, 1 in flight", 12.0),
    // Commits gather: 16 in flight share what one alone pays six times for.
    ("labels", "fsyncs a job, 16 in flight", 6.0),
    ("storm", "failures", 0.0),
    // One window at its largest.
    ("cuts", "bytes sent twice a cut, most", 4096.0),
];

/// Each guard is one check, and a figure that is missing has failed: the scenario has not come to its end. Gives what to
/// say about the failures, too.
pub(super) fn hold(output: &str) -> (Tally, Vec<String>) {
    let figures: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for (scenario, figure, most) in GUARDS {
        let found = figures.iter().find(|it| it["scenario"] == *scenario && it["figure"] == *figure);
        match found.and_then(|it| it["ours"].as_f64()) {
            Some(ours) if ours <= *most => tally = tally.plus(Tally::PASSED),
            other => {
                tally = tally.plus(Tally::FAILED);
                let ours = other.map_or("not measured".to_owned(), |ours| ours.to_string());
                failures.push(format!("{scenario}: {figure}: {ours}, at most {most}"));
            }
        }
    }
    (tally, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scenario: &str, figure: &str, ours: f64) -> String {
        serde_json::json!({"scenario": scenario, "figure": figure, "ours": ours}).to_string() + "\n"
    }

    #[test]
    fn a_figure_that_grew_and_one_that_is_missing_have_failed() {
        let good: String =
            GUARDS.iter().map(|(scenario, figure, most)| line(scenario, figure, *most)).collect();
        let (tally, failures) = hold(&good);
        assert_eq!((tally.passed, tally.failed, failures.len()), (GUARDS.len() as u64, 0, 0));
        let grown = good.replace(":100.0", ":100.5");
        let (tally, failures) = hold(&grown);
        assert_eq!((tally.failed, failures.len()), (1, 1));
        assert!(failures[0].contains("100.5, at most 100"), "{failures:?}");
        assert_eq!(hold("").0.failed, GUARDS.len() as u64);
    }
}
