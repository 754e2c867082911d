//! What was measured, round by round, and what comes out of it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::goal::{Goal, Judged};
use crate::stats::{Spread, spread};

/// Ours, where a subject is named.
pub(crate) const OURS: &str = "inkwire";

/// One scenario's measurements.
#[derive(Debug)]
pub(crate) struct Sheet {
    scenario: &'static str,
    rows: Vec<Row>,
    settings: BTreeMap<String, Value>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    figure: String,
    unit: &'static str,
    values: BTreeMap<&'static str, Vec<f64>>,
    goals: Vec<Goal>,
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) scenario: &'static str,
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    /// Medians over the rounds.
    pub(crate) ours: f64,
    pub(crate) peers: BTreeMap<&'static str, f64>,
    /// Ours divided by theirs.
    pub(crate) ratio: BTreeMap<&'static str, f64>,
    pub(crate) goals: Vec<Judged>,
    /// The smallest and the largest round of everybody.
    pub(crate) spread: BTreeMap<&'static str, [f64; 2]>,
    pub(crate) rounds: usize,
    pub(crate) settings: BTreeMap<String, Value>,
}

impl Sheet {
    pub(crate) const fn new(scenario: &'static str) -> Self {
        Self { scenario, rows: Vec::new(), settings: BTreeMap::new(), notes: Vec::new() }
    }

    /// Says under which settings all of this was measured.
    pub(crate) fn setting(&mut self, name: &str, value: impl Into<Value>) {
        self.settings.insert(name.to_owned(), value.into());
    }

    /// A sentence below the table: what could not be measured, what a peer cannot do.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// One round's value of one subject.
    pub(crate) fn add(&mut self, figure: &str, unit: &'static str, subject: &'static str, value: f64) {
        self.row(figure, unit).values.entry(subject).or_default().push(value);
    }

    /// What a figure must reach; judged over its medians.
    pub(crate) fn goal(&mut self, figure: &str, goal: Goal) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.figure == figure) {
            row.goals.push(goal);
        }
    }

    fn row(&mut self, figure: &str, unit: &'static str) -> &mut Row {
        let at = self.rows.iter().position(|row| row.figure == figure).unwrap_or_else(|| {
            let (values, goals) = (BTreeMap::new(), Vec::new());
            self.rows.push(Row { figure: figure.to_owned(), unit, values, goals });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Every figure of which ours was measured, in the order in which they came.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.rows.iter().filter_map(|row| self.figure(row)).collect()
    }

    fn figure(&self, row: &Row) -> Option<Figure> {
        let spreads: BTreeMap<&'static str, Spread> =
            row.values.iter().filter_map(|(subject, values)| Some((*subject, spread(values)?))).collect();
        let ours = spreads.get(OURS)?.median;
        let theirs = || spreads.iter().filter(|(subject, _)| **subject != OURS);
        let ratio: BTreeMap<_, _> = theirs()
            .filter(|(_, spread)| spread.median > 0.0)
            .map(|(peer, spread)| (*peer, ours / spread.median))
            .collect();
        let judge = |goal: &Goal| goal.judge(ours, row.unit, |peer| ratio.get(peer).copied());
        Some(Figure {
            scenario: self.scenario,
            figure: row.figure.clone(),
            unit: row.unit,
            ours,
            peers: theirs().map(|(peer, spread)| (*peer, spread.median)).collect(),
            goals: row.goals.iter().map(judge).collect(),
            ratio,
            spread: spreads.iter().map(|(subject, it)| (*subject, [it.least, it.most])).collect(),
            rounds: row.values.get(OURS).map_or(0, Vec::len),
            settings: self.settings.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goal::{Kind, Side};

    #[test]
    fn figures_are_medians_ratios_and_judgements() {
        let mut sheet = Sheet::new("labels");
        sheet.setting("bytes", 2048);
        for (ours, theirs) in [(10.0, 4.0), (12.0, 5.0), (11.0, 6.0)] {
            sheet.add("jobs", "1/s", OURS, ours);
            sheet.add("jobs", "1/s", "nats", theirs);
        }
        sheet.add("of nobody", "1/s", "nats", 1.0);
        sheet.goal("jobs", Goal::ratio(Kind::Must, "nats", Side::AtLeast, 2.0));
        let figures = sheet.figures();
        assert_eq!(figures.len(), 1);
        let json = serde_json::to_value(&figures[0]).unwrap();
        assert_eq!(json["ours"], 11.0);
        assert_eq!(json["peers"]["nats"], 5.0);
        assert_eq!(json["ratio"]["nats"], 2.2);
        assert_eq!(json["spread"]["inkwire"], serde_json::json!([10.0, 12.0]));
        assert_eq!(json["goals"][0], serde_json::json!({"text": "≥ 2 × nats", "kind": "must", "met": true}));
        assert_eq!(json["settings"]["bytes"], 2048);
        assert_eq!(json["rounds"], 3);
    }
}
