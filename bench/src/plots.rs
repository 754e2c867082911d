//! Which charts are drawn of the figures: each from a family of figures whose names differ in one number.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::plot::{Axis, Chart, Point, Scale, Series};
use crate::sheet::OURS;

/// A chart, and the figures that are in it.
struct Plan {
    file: &'static str,
    scenario: &'static str,
    title: &'static str,
    x: (&'static str, Scale),
    y: (&'static str, Scale),
    /// What stands before and after the number in a figure's name, and what is added to the subject's name.
    families: &'static [(&'static str, &'static str, &'static str)],
}

const PLANS: &[Plan] = &[
    Plan {
        file: "labels-throughput.svg",
        scenario: "labels",
        title: "2 KiB jobs, durable at both ends",
        x: ("jobs in flight", Scale::Log),
        y: ("jobs a second (log)", Scale::Log),
        families: &[("jobs a second, ", " in flight", "")],
    },
    Plan {
        file: "labels-latency.svg",
        scenario: "labels",
        title: "From the submission until accepted and whole at the device",
        x: ("jobs in flight", Scale::Log),
        y: ("ms (log; dashed: p50, solid: p99)", Scale::Log),
        families: &[("latency p99, ", " in flight", ""), ("latency p50, ", " in flight", " p50")],
    },
    Plan {
        file: "sessions-memory.svg",
        scenario: "sessions",
        title: "Resident memory of the server over idle sessions",
        x: ("sessions", Scale::Linear),
        y: ("MB over the empty process", Scale::Linear),
        families: &[("RSS growth, ", " sessions", "")],
    },
    Plan {
        file: "backlog-rate.svg",
        scenario: "backlog",
        title: "2 KiB jobs with a backlog in the store",
        x: ("jobs in the store", Scale::Log),
        y: ("jobs a second", Scale::Linear),
        families: &[("jobs a second, ", " jobs in the store", "")],
    },
];

/// Draws what can be drawn of these figures (the objects of `--json`) into the folder, and says which files it wrote.
pub(crate) fn draw(figures: &[Value], dir: &Path) -> Result<Vec<&'static str>> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut written = Vec::new();
    for plan in PLANS {
        if let Some(svg) = chart(plan, figures).svg() {
            let path = dir.join(plan.file);
            std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
            written.push(plan.file);
        }
    }
    Ok(written)
}

fn chart(plan: &Plan, figures: &[Value]) -> Chart {
    let mut series: BTreeMap<(bool, String, usize), Vec<Point>> = BTreeMap::new();
    for figure in figures.iter().filter(|figure| figure["scenario"] == plan.scenario) {
        for (family, (before, after, _)) in plan.families.iter().enumerate() {
            let name = figure["figure"].as_str().unwrap_or_default();
            let number = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            let Some(x) = number.and_then(|number| number.parse::<f64>().ok()) else { continue };
            for (subject, y) in subjects(figure) {
                let spread = &figure["spread"][&subject];
                let spread = [spread[0].as_f64().unwrap_or(y), spread[1].as_f64().unwrap_or(y)];
                series.entry((subject != OURS, subject, family)).or_default().push(Point { x, y, spread });
            }
        }
    }
    let mut colours: Vec<String> = Vec::new();
    let mut drawn = Vec::new();
    for ((_, subject, family), mut points) in series {
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        let colour = colours.iter().position(|it| *it == subject).unwrap_or_else(|| {
            colours.push(subject.clone());
            colours.len() - 1
        });
        let name = format!("{subject}{}", plan.families[family].2);
        drawn.push(Series { name, colour, dashed: family > 0, points });
    }
    let axis = |(name, scale)| Axis { name, scale };
    Chart { title: plan.title, x: axis(plan.x), y: axis(plan.y), series: drawn }
}

/// Everybody that a figure has a value of, ours first.
fn subjects(figure: &Value) -> Vec<(String, f64)> {
    let ours = figure["ours"].as_f64().map(|ours| (OURS.to_owned(), ours));
    let peers = figure["peers"].as_object().into_iter().flatten();
    ours.into_iter().chain(peers.filter_map(|(peer, value)| Some((peer.clone(), value.as_f64()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_of_figures_is_one_line_a_subject() {
        let figure = |in_flight: u32, ours: f64| {
            serde_json::json!({"scenario": "labels", "figure": format!("jobs a second, {in_flight} in flight"), "ours": ours,
                "peers": {"nats": ours / 2.0}, "spread": {"inkwire": [ours - 1.0, ours + 1.0]}})
        };
        let other = serde_json::json!({"scenario": "labels", "figure": "jobs a second, many", "ours": 1.0});
        let figures = [figure(64, 100.0), figure(1, 10.0), other];
        let chart = chart(&PLANS[0], &figures);
        let names: Vec<_> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["inkwire", "nats"]);
        let points: Vec<_> =
            chart.series[0].points.iter().map(|point| (point.x, point.y, point.spread)).collect();
        assert_eq!(points, [(1.0, 10.0, [9.0, 11.0]), (64.0, 100.0, [99.0, 101.0])]);
        let dir = tempfile::TempDir::new().unwrap();
        assert_eq!(draw(&figures, dir.path()).unwrap(), ["labels-throughput.svg"]);
    }
}
