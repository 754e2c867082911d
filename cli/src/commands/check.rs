//! What a look at a folder found, for people and programs.

use inkwire_service::check::{Report, Severity};

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints a report. The exit code: done, or failed where something is damaged.
pub(crate) fn show(report: &Report, json: bool) -> Result<Exit, Failure> {
    if json {
        output::json(report)?;
    } else {
        lines(report).iter().try_for_each(|line| output::line(&output::clean(line)))?;
    }
    Ok(if report.is_whole() { Exit::Done } else { Exit::Failed })
}

fn lines(report: &Report) -> Vec<String> {
    let running = if report.running { "in use" } else { "not in use" };
    let mut lines = vec![format!("{} ({running})", report.folder.display())];
    for (what, count) in &report.looked_at {
        lines.push(format!("  {:24} {count}", what.replace('_', " ")));
    }
    for found in &report.findings {
        let severity = match found.severity {
            Severity::Damage => "DAMAGE",
            Severity::Note => "note",
        };
        lines.push(format!("{severity:6} {}: {}: {}", found.what, found.subject, found.detail));
    }
    if report.more > 0 {
        lines.push(format!("       and {} more", report.more));
    }
    let damages = report.findings.iter().filter(|found| found.severity == Severity::Damage).count();
    lines.push(if report.is_whole() {
        "everything is there".to_owned()
    } else {
        format!("{damages} damaged")
    });
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn damage_stands_out_and_names_steer_nothing() {
        let mut report = Report::of(Path::new("/srv/inkwire"), true);
        report.count("document_files", 3);
        report.note("strange-file", "x", "nobody looks at it");
        assert_eq!(lines(&report).last().map(String::as_str), Some("everything is there"));
        report.damage("document-missing", "job 7", "there is no such file");
        let lines = lines(&report);
        assert_eq!(lines[0], "/srv/inkwire (in use)");
        assert_eq!(lines[1], "  document files           3");
        assert_eq!(lines[3], "DAMAGE document-missing: job 7: there is no such file");
        assert_eq!(lines[4], "1 damaged");
    }
}
