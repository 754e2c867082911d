//! Families of metrics as text. Pure.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

/// What a family consists of.
#[derive(Debug)]
pub(super) enum Samples {
    /// Goes up and down; a label and its values, or a single value without.
    Gauge(Values),
    /// Only grows, from the broker's start.
    Counter(Values),
    /// A distribution, since the broker's start.
    Histogram(Histogram),
    /// Always 1; what counts is the label.
    Info(&'static str, String),
}

/// One value, or one a value of the label.
#[derive(Debug)]
pub(super) enum Values {
    One(Number),
    By(&'static str, Vec<(&'static str, u64)>),
}

/// A family: name, meaning, values. `_total` and the like are appended by the format.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Samples,
}

/// All families as OpenMetrics text.
pub(super) fn render(families: Vec<Family>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let kind = match &family.samples {
                Samples::Gauge(_) => MetricType::Gauge,
                Samples::Counter(_) => MetricType::Counter,
                Samples::Histogram(_) => MetricType::Histogram,
                Samples::Info(..) => MetricType::Info,
            };
            let encoder = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            write(encoder, &family.samples)?;
        }
        Ok(())
    }
}

fn write(mut encoder: MetricEncoder<'_>, samples: &Samples) -> fmt::Result {
    let (values, put): (_, fn(MetricEncoder<'_>, Number) -> fmt::Result) = match samples {
        Samples::Gauge(values) => (values, gauge),
        Samples::Counter(values) => (values, counter),
        Samples::Histogram(histogram) => return histogram.encode(encoder),
        Samples::Info(label, value) => return encoder.encode_info(&[(*label, value.as_str())]),
    };
    match values {
        Values::One(number) => put(encoder, *number),
        Values::By(label, values) => values.iter().try_for_each(|(value, count)| {
            put(encoder.encode_family(&[(*label, *value)])?, Number::Whole(*count))
        }),
    }
}

fn gauge(mut encoder: MetricEncoder<'_>, number: Number) -> fmt::Result {
    match number {
        Number::Whole(value) => encoder.encode_gauge(&value),
        Number::Real(value) => encoder.encode_gauge(&value),
    }
}

fn counter(mut encoder: MetricEncoder<'_>, number: Number) -> fmt::Result {
    type NoLabels = [(&'static str, &'static str); 0];
    match number {
        Number::Whole(value) => encoder.encode_counter::<NoLabels, _, u64>(&value, None),
        Number::Real(value) => encoder.encode_counter::<NoLabels, _, f64>(&value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_format_wants() {
        let histogram = Histogram::new([1.0]);
        histogram.observe(0.5);
        let family = |name, samples| Family { name, help: "Help", samples };
        let text = render(vec![
            family("a", Samples::Gauge(Values::By("state", vec![("x", 1), ("y", 2)]))),
            family("b", Samples::Counter(Values::One(Number::Real(1.5)))),
            family("c", Samples::Histogram(histogram)),
            family("d", Samples::Info("version", "1.2".into())),
        ])
        .unwrap();
        for line in [
            "# TYPE a gauge",
            "a{state=\"y\"} 2",
            "b_total 1.5",
            "c_bucket{le=\"+Inf\"} 1",
            "d_info{version=\"1.2\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }
}
