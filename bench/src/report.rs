//! A scenario's table for the terminal. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use crate::goal::{Judged, Kind};
use crate::sheet::{Figure, OURS, Sheet};

/// Figures, goals, notes and settings of one scenario.
pub(crate) fn table(sheet: &Sheet) -> String {
    let figures = sheet.figures();
    let mut out = String::new();
    let width = figures.iter().map(|it| it.figure.chars().count()).max().unwrap_or(0);
    for figure in &figures {
        line(&mut out, figure, width);
    }
    for note in sheet.notes() {
        push(&mut out, &format!("  note: {note}\n"));
    }
    if let Some(figure) = figures.first() {
        let settings: Vec<_> =
            figure.settings.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect();
        push(&mut out, &format!("  settings: {}\n", settings.join("; ")));
    }
    out
}

fn line(out: &mut String, figure: &Figure, width: usize) {
    let spread = |subject: &str| match figure.spread.get(subject) {
        Some([least, most]) if least < most => format!(" [{} – {}]", number(*least), number(*most)),
        Some(_) | None => String::new(),
    };
    let name = format!("{:width$}", figure.figure);
    let mut text = format!("  {name}  {} {}{}", number(figure.ours), figure.unit, spread(OURS));
    for (peer, value) in &figure.peers {
        let ratio =
            figure.ratio.get(peer).map_or(String::new(), |ratio| format!(", ratio {}", number(*ratio)));
        push(&mut text, &format!("  | {peer} {}{}{ratio}", number(*value), spread(peer)));
    }
    push(out, &format!("{text}\n"));
    for goal in &figure.goals {
        push(out, &format!("  {:width$}    {}\n", "", verdict(goal)));
    }
}

fn verdict(goal: &Judged) -> String {
    let kind = match goal.kind {
        Kind::Must => "must",
        Kind::Aim => "aim ",
    };
    let met = match goal.met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    };
    format!("{kind} {}: {met}", goal.text)
}

/// A text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Three digits that count.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        it if it >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn push(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _never = out.write_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goal::{Goal, Side};

    #[test]
    fn a_line_says_ours_theirs_ratio_spread_and_goals() {
        let mut sheet = Sheet::new("labels");
        sheet.setting("document", "2 KiB");
        sheet.note("a peer cannot resume");
        for value in [1234.5, 1300.0] {
            sheet.add("jobs", "1/s", OURS, value);
            sheet.add("jobs", "1/s", "nats", 500.0);
        }
        sheet.goal("jobs", Goal::ratio(Kind::Must, "nats", Side::AtLeast, 3.0));
        let text = table(&sheet);
        assert!(text.contains("jobs  1267 1/s [1234 – 1300]  | nats 500, ratio 2.53"), "{text}");
        assert!(text.contains("must ≥ 3 × nats: MISSED"), "{text}");
        assert!(
            text.contains("note: a peer cannot resume\n") && text.contains("settings: document: 2 KiB\n")
        );
        assert_eq!(number(0.01234), "0.012");
    }
}
