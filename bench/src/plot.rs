//! A chart of lines as SVG, legible on light and dark ground. Pure.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
/// Legible on white and on near-black; the first is ours.
const COLOURS: [&str; 5] = ["#2f7fd8", "#d2691e", "#2e9e5b", "#9b6bd3", "#888888"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:12px}.title{font-size:15px;font-weight:600}\
.grid{stroke:#8c959f;stroke-opacity:.35}.axis{stroke:#57606a}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#9198a1}}";

/// How an axis grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// From nothing on.
    Linear,
    /// Each step as many times as large.
    Log,
}

/// An axis with its name and unit.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) scale: Scale,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Which colour; series that belong together share one.
    pub(crate) colour: usize,
    pub(crate) dashed: bool,
    /// With the smallest and the largest round of each.
    pub(crate) points: Vec<Point>,
}

/// A value over its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) spread: [f64; 2],
}

/// A chart.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

impl Chart {
    /// None without a point.
    pub(crate) fn svg(&self) -> Option<String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        points().next()?;
        let xs: Vec<f64> = points().map(|point| point.x).collect();
        let ys: Vec<f64> = points().flat_map(|point| [point.y, point.spread[0], point.spread[1]]).collect();
        let (x, y) = (Range::of(&xs, self.x.scale), Range::of(&ys, self.y.scale));
        let at = |value: f64| LEFT + x.part(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.part(value) * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{0}</title>\
             <style>{STYLE}</style><text class=\"title\" x=\"{LEFT}\" y=\"24\">{0}</text>\n",
            escaped(self.title)
        );
        for tick in y.ticks() {
            line(&mut out, "grid", [LEFT, up(tick), WIDTH - RIGHT, up(tick)]);
            text(&mut out, "small\" text-anchor=\"end", LEFT - 8.0, up(tick) + 4.0, &short(tick));
        }
        let mut places = xs;
        places.sort_by(f64::total_cmp);
        places.dedup();
        for place in places {
            line(&mut out, "axis", [at(place), HEIGHT - BOTTOM, at(place), HEIGHT - BOTTOM + 5.0]);
            text(&mut out, "small\" text-anchor=\"middle", at(place), HEIGHT - BOTTOM + 20.0, &short(place));
        }
        line(&mut out, "axis", [LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM]);
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        text(&mut out, "\" text-anchor=\"middle", middle, HEIGHT - 12.0, self.x.name);
        push(&mut out, format_args!("<g transform=\"rotate(-90)\">"));
        text(&mut out, "\" text-anchor=\"middle", -f64::midpoint(TOP, HEIGHT - BOTTOM), 18.0, self.y.name);
        push(&mut out, format_args!("</g>\n"));
        self.series.iter().for_each(|series| draw(&mut out, series, &at, &up));
        self.names(&mut out, &up);
        push(&mut out, format_args!("</svg>\n"));
        Some(out)
    }

    /// Each line's name beside its end, moved apart where ends are close.
    fn names(&self, out: &mut String, up: &impl Fn(f64) -> f64) {
        let end = |series: &Series| series.points.last().map(|point| up(point.y));
        let mut ends: Vec<(f64, &Series)> =
            self.series.iter().filter_map(|series| Some((end(series)?, series))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = TOP;
        for (at, series) in ends {
            let at = at.max(free);
            free = at + 16.0;
            let x = WIDTH - RIGHT + 12.0;
            let fill = COLOURS[series.colour % COLOURS.len()];
            push(out, format_args!("<circle cx=\"{x}\" cy=\"{at:.1}\" r=\"4\" fill=\"{fill}\"/>"));
            text(out, "small", x + 9.0, at + 4.0, &series.name);
        }
    }
}

fn draw(out: &mut String, series: &Series, at: &impl Fn(f64) -> f64, up: &impl Fn(f64) -> f64) {
    let colour = COLOURS[series.colour % COLOURS.len()];
    let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    let points: Vec<_> =
        series.points.iter().map(|point| format!("{:.1},{:.1}", at(point.x), up(point.y))).collect();
    let points = points.join(" ");
    push(
        out,
        format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{points}\"/>\n"
        ),
    );
    for point in &series.points {
        let (x, y) = (at(point.x), up(point.y));
        let [least, most] = point.spread.map(up);
        push(
            out,
            format_args!(
                "<path stroke=\"{colour}\" d=\"M{x:.1} {least:.1}V{most:.1}\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" \
                 fill=\"{colour}\"><title>{}: {} at {}</title></circle>\n",
                escaped(&series.name),
                short(point.y),
                short(point.x)
            ),
        );
    }
}

/// What an axis spans.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: f64,
    to: f64,
    scale: Scale,
}

impl Range {
    fn of(values: &[f64], scale: Scale) -> Self {
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.iter().copied().filter(|value| *value > 0.0).fold(most, f64::min);
        match scale {
            Scale::Linear => Self { from: 0.0, to: step(most) * (most / step(most)).ceil(), scale },
            Scale::Log => Self { from: least, to: most.max(least * 1.0001), scale },
        }
    }

    /// Where a value is, 0 to 1.
    fn part(self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value / self.to,
            Scale::Log => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
        }
    }

    fn ticks(self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.to);
                (0..=(self.to / step).round() as u32).map(|tick| f64::from(tick) * step).collect()
            }
            Scale::Log => {
                let tens = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
                let all = tens.flat_map(|ten| [1.0, 2.0, 5.0].map(|of| of * 10f64.powi(ten)));
                all.filter(|tick| (self.from..=self.to).contains(tick)).collect()
            }
        }
    }
}

/// A round step, four to eight of which reach so far.
fn step(most: f64) -> f64 {
    let ten = 10f64.powf((most / 8.0).log10().ceil());
    [0.2, 0.5, 1.0].into_iter().map(|of| of * ten).find(|step| most / step <= 8.0).unwrap_or(ten)
}

/// 1,500 as 1.5k.
fn short(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        it if it >= 1e6 => (value / 1e6, "M"),
        it if it >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

fn line(out: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    push(
        out,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ),
    );
}

fn text(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    push(out, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escaped(text)));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _never = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: Vec<Series>) -> Chart {
        let axis = |scale| Axis { name: "things (1/s)", scale };
        Chart { title: "a < b", x: axis(Scale::Log), y: axis(Scale::Linear), series }
    }

    #[test]
    fn every_point_is_drawn_inside_and_named() {
        let point = |x: f64, y: f64| Point { x, y, spread: [y * 0.9, y * 1.1] };
        let points = vec![point(1.0, 10.0), point(64.0, 1500.0), point(256.0, 900.0)];
        let series = Series { name: "ours".to_owned(), colour: 0, dashed: false, points };
        let svg = chart(vec![series]).svg().unwrap();
        assert_eq!(svg.matches("r=\"3.5\"").count(), 3);
        assert!(
            svg.contains("ours: 1.5k at 64")
                && svg.contains("a &lt; b")
                && svg.contains("prefers-color-scheme")
        );
        let tops: Vec<f64> =
            svg.split("cy=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        assert!(tops.iter().all(|y| (TOP - 1.0..=HEIGHT - BOTTOM).contains(y)), "{tops:?}");
        assert!(chart(Vec::new()).svg().is_none());
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Range::of(&[1634.0], Scale::Linear).ticks().last(), Some(&2000.0));
        assert_eq!(Range::of(&[3.0, 60.0], Scale::Log).ticks(), [5.0, 10.0, 20.0, 50.0]);
        assert_eq!(
            ["0", "0.5", "64", "1.5k", "10M"],
            [0.0, 0.5, 64.0, 1500.0, 1e7].map(short).each_ref().map(String::as_str)
        );
    }
}
