//! How many tests passed and failed, read from what test runners print. Pure.

/// Counts of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Tests that were left out because they need what is not here.
    pub(crate) not_run: u64,
}

impl Tally {
    /// A stage that is one check, and held.
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, not_run: 0 };
    /// A stage that is one check, and did not.
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, not_run: 0 };

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            not_run: self.not_run + other.not_run,
        }
    }

    /// A run that ended badly has failed even where no test says so (it did not compile, it was killed).
    pub(crate) const fn ended(self, well: bool) -> Self {
        if well || self.failed > 0 { self } else { Self { failed: 1, ..self } }
    }

    /// The sum of the summaries of nextest (`Summary [ 1.0s] 3 tests run: 2 passed, 1 failed, 0 skipped`) and of cargo
    /// test (`test result: ok. 2 passed; 0 failed; ...`). A test that timed out has failed.
    pub(crate) fn of_tests(output: &str) -> Self {
        // Nextest repeats what a failed test's own runner said: its summary counts that already.
        let nextest = output.lines().any(|line| line.trim_start().starts_with("Summary ["));
        let summaries = output.lines().filter_map(|line| {
            let line = line.trim_start();
            if nextest {
                line.strip_prefix("Summary [")?.split_once(" run: ").map(|(_, counts)| counts)
            } else {
                line.strip_prefix("test result: ")
            }
        });
        summaries.fold(Self::default(), |sum, counts| {
            let count = |word: &str| {
                counts
                    .split([',', ';', '.', '('])
                    .filter_map(|part| part.trim().trim_end_matches(')').split_once(' '))
                    .filter(|(_, what)| *what == word || what.starts_with(&format!("{word} (")))
                    .filter_map(|(number, _)| number.parse::<u64>().ok())
                    .sum::<u64>()
            };
            let failed = count("failed") + count("timed out") + count("exec failed");
            // What nextest skips was mostly not asked for; who leaves tests out counts them.
            sum.plus(Self { passed: count("passed"), failed, not_run: count("ignored") })
        })
    }

    /// Vitest's summary: `Tests  1 failed | 27 passed | 2 skipped (30)`. An error outside of all tests has failed too.
    pub(crate) fn of_vitest(output: &str) -> Self {
        let line =
            |name: &'static str| output.lines().filter_map(move |line| line.trim_start().strip_prefix(name));
        let count = |counts: &str, word: &str| {
            let parts = counts.split(['|', '(']).filter_map(|part| part.trim().split_once(' '));
            parts
                .filter(|(_, what)| *what == word)
                .filter_map(|(number, _)| number.parse::<u64>().ok())
                .sum::<u64>()
        };
        let tests = line("Tests ").fold(Self::default(), |sum, counts| {
            sum.plus(Self { passed: count(counts, "passed"), failed: count(counts, "failed"), not_run: 0 })
        });
        let errors = line("Errors ").map(|counts| count(counts, "error") + count(counts, "errors")).sum();
        tests.plus(Self { passed: 0, failed: errors, not_run: 0 })
    }

    /// The natlab's JSON lines: each scenario is one check.
    pub(crate) fn of_json_lines(output: &str) -> Self {
        let lines = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .filter_map(|line| line.get("ok")?.as_bool())
            .fold(Self::default(), |sum, ok| sum.plus(if ok { Self::PASSED } else { Self::FAILED }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_read() {
        let nextest =
            "     Summary [   1.234s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(Tally::of_tests(nextest), Tally { passed: 9, failed: 3, not_run: 0 });
        let within = format!("    test result: FAILED. 0 passed; 1 failed\n{nextest}");
        assert_eq!(Tally::of_tests(&within), Tally { passed: 9, failed: 3, not_run: 0 });
        let cargo = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                     test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Tally::of_tests(cargo), Tally { passed: 6, failed: 2, not_run: 1 });
    }

    #[test]
    fn summaries_of_vitest_are_read() {
        let good = " Test Files  2 passed (2)\n      Tests  28 passed (28)\n";
        assert_eq!(Tally::of_vitest(good), Tally { passed: 28, failed: 0, not_run: 0 });
        let bad = "      Tests  1 failed | 27 passed | 3 skipped (31)\n     Errors  1 error\n";
        assert_eq!(Tally::of_vitest(bad), Tally { passed: 27, failed: 2, not_run: 0 });
    }

    #[test]
    fn a_bad_end_is_a_failure_even_without_a_summary() {
        assert_eq!(Tally::of_tests("error: could not compile").ended(false), Tally::FAILED);
        assert_eq!(
            Tally { passed: 1, failed: 2, not_run: 0 }.ended(false),
            Tally { passed: 1, failed: 2, not_run: 0 }
        );
    }

    #[test]
    fn each_scenario_of_the_lab_counts() {
        let lines = "{\"scenario\":\"a\",\"ok\":true}\nnoise\n{\"scenario\":\"b\",\"ok\":false}\n";
        assert_eq!(Tally::of_json_lines(lines), Tally { passed: 1, failed: 1, not_run: 0 });
    }
}
