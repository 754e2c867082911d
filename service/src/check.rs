//! What a look at a daemon's folder has found. The daemons know what is right; this is only how it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Findings that are kept; a folder that is damaged all over does not need a line for each byte.
const MAX_FINDINGS: usize = 1000;

/// How much a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that was promised to be there is not, or is not what it was.
    Damage,
    /// Worth knowing; the daemon deals with it by itself.
    Note,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it means.
    pub severity: Severity,
    /// Its name, for programs: `document-missing`.
    pub what: &'static str,
    /// The file, row or job.
    pub subject: String,
    /// What was found, what was expected, and what can be done.
    pub detail: String,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The folder that was looked at.
    pub folder: PathBuf,
    /// Whether a daemon was running on it meanwhile.
    pub running: bool,
    /// What was looked at: counts by name.
    pub looked_at: BTreeMap<&'static str, u64>,
    /// What is not as it should be, at most a thousand.
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    pub more: u64,
    damaged: bool,
}

impl Report {
    /// An empty one.
    pub fn of(folder: &Path, running: bool) -> Self {
        Self {
            folder: folder.to_owned(),
            running,
            looked_at: BTreeMap::new(),
            findings: Vec::new(),
            more: 0,
            damaged: false,
        }
    }

    /// Whether everything that must be there is there as it was written.
    pub fn is_whole(&self) -> bool {
        !self.damaged
    }

    /// Counts something that was looked at.
    pub fn count(&mut self, what: &'static str, number: u64) {
        *self.looked_at.entry(what).or_default() += number;
    }

    /// Adds damage.
    pub fn damage(&mut self, what: &'static str, subject: impl fmt::Display, detail: impl fmt::Display) {
        self.damaged = true;
        self.add(Severity::Damage, what, &subject, &detail);
    }

    /// Adds what is worth knowing.
    pub fn note(&mut self, what: &'static str, subject: impl fmt::Display, detail: impl fmt::Display) {
        self.add(Severity::Note, what, &subject, &detail);
    }

    fn add(
        &mut self,
        severity: Severity,
        what: &'static str,
        subject: &dyn fmt::Display,
        detail: &dyn fmt::Display,
    ) {
        if self.findings.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (subject, detail) = (subject.to_string(), detail.to_string());
        self.findings.push(Finding { severity, what, subject, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_bounded_and_damage_is_never_forgotten() {
        let mut report = Report::of(Path::new("/x"), false);
        for n in 0..MAX_FINDINGS {
            report.note("file-without-row", n, "it goes");
        }
        assert!(report.is_whole());
        report.damage("document-missing", "x", "it is gone");
        assert!(!report.is_whole());
        assert_eq!((report.findings.len(), report.more), (MAX_FINDINGS, 1));
    }
}
