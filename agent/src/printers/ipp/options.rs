//! Pure: a job's options as IPP Job Template attributes, each in its own type (RFC 8011 section 5.2, PWG 5100.7, 5100.13).

use std::collections::BTreeMap;

use inkwire_protocol::printer::JobOptions;
use ipp::attribute::IppAttribute;
use ipp::parser::IppParseError;
use ipp::value::{IppName, IppValue};

use super::info::orientation;

/// An option that cannot be said in IPP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option `{name}`: {problem}")]
pub(super) struct OptionError {
    name: &'static str,
    problem: String,
}

fn wrong(name: &'static str, problem: impl Into<String>) -> OptionError {
    OptionError { name, problem: problem.into() }
}

/// The Job Template attributes of a job.
pub(super) fn attributes(options: &JobOptions) -> Result<Vec<IppAttribute>, OptionError> {
    let mut list = Vec::new();
    let mut put = |name: &'static str, value: Option<Result<IppValue, OptionError>>| match value {
        Some(value) => IppAttribute::with_name(name, value?)
            .map(|attribute| list.push(attribute))
            .map_err(|e| wrong(name, e.to_string())),
        None => Ok(()),
    };
    let o = options;
    put("copies", o.copies.map(|n| integer("copies", n)))?;
    put("sides", keyword("sides", o.sides.as_deref()))?;
    if o.media_source.is_some() {
        // `media-source` stands only in `media-col`, and `media` and `media-col` exclude each other.
        put("media-col", Some(media_col(o.media.as_deref(), o.media_source.as_deref())))?;
    } else {
        put("media", keyword("media", o.media.as_deref()))?;
    }
    put("print-color-mode", keyword("print-color-mode", o.print_color_mode.as_deref()))?;
    put("page-ranges", (!o.page_ranges.is_empty()).then(|| page_ranges(&o.page_ranges)))?;
    put("orientation-requested", o.orientation_requested.as_deref().map(orientation_value))?;
    put("print-scaling", keyword("print-scaling", o.print_scaling.as_deref()))?;
    put("number-up", o.number_up.map(|n| integer("number-up", n)))?;
    put("printer-resolution", o.printer_resolution.as_deref().map(resolution))?;
    put("output-bin", keyword("output-bin", o.output_bin.as_deref()))?;
    put(
        "multiple-document-handling",
        keyword("multiple-document-handling", o.multiple_document_handling.as_deref()),
    )?;
    Ok(list)
}

fn integer(name: &'static str, number: u32) -> Result<IppValue, OptionError> {
    match i32::try_from(number) {
        Ok(number @ 1..) => Ok(IppValue::Integer(number)),
        _ => Err(wrong(name, format!("{number} is out of range"))),
    }
}

fn keyword(name: &'static str, text: Option<&str>) -> Option<Result<IppValue, OptionError>> {
    text.map(|text| IppValue::new_keyword(text).map_err(|error| wrong(name, error.to_string())))
}

fn page_ranges(ranges: &[(u32, u32)]) -> Result<IppValue, OptionError> {
    let of = |&(first, last): &(u32, u32)| match (i32::try_from(first), i32::try_from(last)) {
        (Ok(min @ 1..), Ok(max)) if min <= max => Ok(IppValue::RangeOfInteger { min, max }),
        _ => Err(wrong("page-ranges", format!("{first}-{last} is not a range of pages"))),
    };
    ranges.iter().map(of).collect::<Result<_, _>>().map(IppValue::Array)
}

fn orientation_value(text: &str) -> Result<IppValue, OptionError> {
    let found = (3..=7).find(|value| orientation(*value) == Some(text));
    found.map(IppValue::Enum).ok_or_else(|| wrong("orientation-requested", format!("`{text}` is not known")))
}

/// `600dpi`, `600x1200dpi`, `236dpcm`.
fn resolution(text: &str) -> Result<IppValue, OptionError> {
    let shape = || wrong("printer-resolution", format!("`{text}` is not like 600dpi or 600x1200dpi"));
    let (numbers, units) = match (text.strip_suffix("dpi"), text.strip_suffix("dpcm")) {
        (Some(numbers), _) => (numbers, 3),
        (None, Some(numbers)) => (numbers, 4),
        (None, None) => return Err(shape()),
    };
    let (cross, feed) = numbers.split_once('x').unwrap_or((numbers, numbers));
    match (cross.parse(), feed.parse()) {
        (Ok(cross_feed @ 1..), Ok(feed @ 1..)) => Ok(IppValue::Resolution { cross_feed, feed, units }),
        _ => Err(shape()),
    }
}

fn media_col(media: Option<&str>, source: Option<&str>) -> Result<IppValue, OptionError> {
    let mut members = BTreeMap::new();
    let mut put = |name: &str, value: Result<IppValue, IppParseError>| -> Result<(), OptionError> {
        let name = IppName::new(name).map_err(|error| wrong("media-source", error.to_string()))?;
        members.insert(name, value.map_err(|error| wrong("media-source", error.to_string()))?);
        Ok(())
    };
    if let Some(media) = media {
        match pwg_size(media) {
            Some((x, y)) => put("media-size", size(x, y))?,
            None => put("media-size-name", IppValue::new_keyword(media))?,
        }
    }
    if let Some(source) = source {
        put("media-source", IppValue::new_keyword(source))?;
    }
    Ok(IppValue::Collection(members))
}

fn size(x: i32, y: i32) -> Result<IppValue, IppParseError> {
    let member = |name: &str, value| IppName::new(name).map(|name| (name, IppValue::Integer(value)));
    Ok(IppValue::Collection(BTreeMap::from([member("x-dimension", x)?, member("y-dimension", y)?])))
}

/// The size in a PWG 5101.1 name (`iso_a4_210x297mm`, `na_letter_8.5x11in`), in hundredths of a millimetre.
fn pwg_size(name: &str) -> Option<(i32, i32)> {
    let dimensions = name.rsplit('_').next()?;
    let (numbers, scale) = match (dimensions.strip_suffix("mm"), dimensions.strip_suffix("in")) {
        (Some(numbers), _) => (numbers, 100.0),
        (None, Some(numbers)) => (numbers, 2540.0),
        (None, None) => return None,
    };
    let (x, y) = numbers.split_once('x')?;
    let of = |text: &str| {
        let hundredths = (text.parse::<f64>().ok()? * scale).round();
        (1.0..1e7).contains(&hundredths).then_some(hundredths as i32)
    };
    Some((of(x)?, of(y)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(options: &JobOptions, name: &str) -> IppValue {
        attributes(options).unwrap().into_iter().find(|a| a.name().as_str() == name).unwrap().into_value()
    }

    #[test]
    fn each_option_has_its_own_type() {
        let options = JobOptions {
            copies: Some(2),
            sides: Some("two-sided-long-edge".into()),
            media: Some("iso_a4_210x297mm".into()),
            page_ranges: vec![(1, 2), (5, 5)],
            orientation_requested: Some("reverse-landscape".into()),
            printer_resolution: Some("600x1200dpi".into()),
            ..JobOptions::default()
        };
        assert_eq!(value(&options, "copies"), IppValue::Integer(2));
        assert_eq!(value(&options, "orientation-requested"), IppValue::Enum(5));
        assert_eq!(
            value(&options, "printer-resolution"),
            IppValue::Resolution { cross_feed: 600, feed: 1200, units: 3 }
        );
        let ranges =
            vec![IppValue::RangeOfInteger { min: 1, max: 2 }, IppValue::RangeOfInteger { min: 5, max: 5 }];
        assert_eq!(value(&options, "page-ranges"), IppValue::Array(ranges));
        assert!(matches!(value(&options, "media"), IppValue::Keyword(_)));
        assert_eq!(attributes(&JobOptions::default()).unwrap().len(), 0);
    }

    #[test]
    fn a_tray_is_asked_for_in_media_col() {
        let options = JobOptions {
            media: Some("na_letter_8.5x11in".into()),
            media_source: Some("tray-1".into()),
            ..JobOptions::default()
        };
        let IppValue::Collection(members) = value(&options, "media-col") else { panic!() };
        assert_eq!(members.get("media-size"), size(21590, 27940).ok().as_ref());
        assert!(attributes(&options).unwrap().iter().all(|a| a.name().as_str() != "media"));
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        for options in [
            JobOptions { copies: Some(0), ..Default::default() },
            JobOptions { page_ranges: vec![(3, 2)], ..Default::default() },
            JobOptions { orientation_requested: Some("sideways".into()), ..Default::default() },
            JobOptions { printer_resolution: Some("fine".into()), ..Default::default() },
            JobOptions { sides: Some("x".repeat(300)), ..Default::default() },
        ] {
            assert!(attributes(&options).unwrap_err().to_string().starts_with("option `"), "{options:?}");
        }
        assert_eq!(pwg_size("custom"), None);
        assert_eq!(pwg_size("iso_a4_210x297mm"), Some((21000, 29700)));
    }
}
