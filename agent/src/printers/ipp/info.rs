//! Pure: what a printer told about itself (Get-Printer-Attributes), in the protocol's words.

use inkwire_protocol::printer::{Backend, Capabilities, Marker, PrinterInfo, PrinterState};
use ipp::attribute::IppAttributeGroup;
use ipp::model::DelimiterTag;

use super::codec::Answer;
use super::values::{all, boolean, integer, integers, numbers, resolution, text, texts};
use crate::printers::config::Common;
use crate::printers::outcome::brief;

/// What is asked. Not `all`: some printers then send megabytes of media.
pub(super) const ASKED: &[&str] = &[
    "copies-supported",
    "cups-version",
    "device-uri",
    "document-format-supported",
    "marker-levels",
    "marker-names",
    "media-ready",
    "media-source-supported",
    "media-supported",
    "multiple-document-handling-supported",
    "number-up-supported",
    "operations-supported",
    "orientation-requested-supported",
    "output-bin-supported",
    "page-ranges-supported",
    "print-color-mode-supported",
    "print-scaling-supported",
    "printer-is-accepting-jobs",
    "printer-location",
    "printer-make-and-model",
    "printer-name",
    "printer-resolution-supported",
    "printer-state",
    "printer-state-message",
    "printer-state-reasons",
    "printer-supply",
    "printer-supply-description",
    "sides-supported",
];

const CREATE_JOB: i32 = 0x0005;
const SEND_DOCUMENT: i32 = 0x0006;
const RASTER: [&str; 2] = ["image/urf", "image/pwg-raster"];
const MOST_NUMBER_UP: usize = 64;

/// What a printer told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) state: PrinterState,
    pub(super) reasons: Vec<String>,
    pub(super) message: Option<String>,
    pub(super) formats: Vec<String>,
    pub(super) make_and_model: Option<String>,
    pub(super) location: Option<String>,
    pub(super) capabilities: Capabilities,
    pub(super) markers: Vec<Marker>,
    /// It speaks `cups-version`: a queue and no device.
    pub(super) is_cups: bool,
    pub(super) creates_jobs: bool,
    pub(super) accepts_jobs: bool,
    pub(super) device_uri: Option<String>,
}

impl Told {
    pub(super) fn of(answer: &Answer) -> Self {
        answer.group(DelimiterTag::PrinterAttributes).map(Self::of_group).unwrap_or_default()
    }

    fn of_group(group: &IppAttributeGroup) -> Self {
        let operations = integers(group, "operations-supported");
        Self {
            state: match integer(group, "printer-state") {
                Some(3) => PrinterState::Idle,
                Some(4) => PrinterState::Processing,
                Some(5) => PrinterState::Stopped,
                _ => PrinterState::Unknown,
            },
            reasons: reasons(group, "printer-state-reasons"),
            message: text(group, "printer-state-message").map(brief),
            formats: formats(texts(group, "document-format-supported")),
            make_and_model: text(group, "printer-make-and-model"),
            location: text(group, "printer-location"),
            capabilities: capabilities(group),
            markers: markers(group),
            is_cups: group.get("cups-version").is_some(),
            creates_jobs: operations.contains(&CREATE_JOB) && operations.contains(&SEND_DOCUMENT),
            accepts_jobs: boolean(group, "printer-is-accepting-jobs").unwrap_or(true),
            device_uri: text(group, "device-uri"),
        }
    }

    /// Takes raster but no PDF: a PDF must be rendered on the PC.
    pub(super) fn is_raster_only(&self) -> bool {
        let has = |format: &str| self.formats.iter().any(|have| have.eq_ignore_ascii_case(format));
        !has("application/pdf") && RASTER.into_iter().any(has)
    }

    /// As the agent reports it.
    pub(super) fn info(self, common: &Common) -> PrinterInfo {
        let streams = !self.is_cups && !self.is_raster_only();
        let narrowed = |format: &String| {
            common.formats.is_empty() || common.formats.iter().any(|have| have.eq_ignore_ascii_case(format))
        };
        PrinterInfo {
            make_and_model: self.make_and_model.or_else(|| common.make_and_model.clone()),
            location: self.location.or_else(|| common.location.clone()),
            formats: self.formats.into_iter().filter(narrowed).collect(),
            state: self.state,
            state_reasons: self.reasons,
            state_message: self.message,
            capabilities: self.capabilities,
            markers: self.markers,
            ..common.info(Backend::Ipp, streams)
        }
    }
}

/// Reasons without `none`.
pub(super) fn reasons(group: &IppAttributeGroup, name: &str) -> Vec<String> {
    texts(group, name).into_iter().filter(|reason| reason != "none" && !reason.is_empty()).collect()
}

/// `application/octet-stream` beside other formats means "one of these, sense which", not "anything".
fn formats(mut told: Vec<String>) -> Vec<String> {
    if told.iter().any(|format| format != "application/octet-stream") {
        told.retain(|format| format != "application/octet-stream");
    }
    told
}

fn capabilities(group: &IppAttributeGroup) -> Capabilities {
    // `copies-supported` is a range from 1.
    let copies = all(group, "copies-supported").iter().find_map(|value| value.as_range_of_integer());
    let copies = copies.and_then(|(_, max)| u32::try_from(*max).ok());
    let orientations = integers(group, "orientation-requested-supported");
    Capabilities {
        copies_max: copies,
        sides: texts(group, "sides-supported"),
        media: texts(group, "media-supported"),
        media_ready: texts(group, "media-ready"),
        media_source: texts(group, "media-source-supported"),
        print_color_mode: texts(group, "print-color-mode-supported"),
        print_scaling: texts(group, "print-scaling-supported"),
        printer_resolution: all(group, "printer-resolution-supported")
            .iter()
            .filter_map(resolution)
            .collect(),
        output_bin: texts(group, "output-bin-supported"),
        number_up: numbers(group, "number-up-supported", MOST_NUMBER_UP),
        orientation_requested: orientations.into_iter().filter_map(orientation).map(str::to_owned).collect(),
        multiple_document_handling: texts(group, "multiple-document-handling-supported"),
        page_ranges: boolean(group, "page-ranges-supported"),
    }
}

/// The keyword of an `orientation-requested` (RFC 8011 section 5.2.10).
pub(super) fn orientation(value: i32) -> Option<&'static str> {
    match value {
        3 => Some("portrait"),
        4 => Some("landscape"),
        5 => Some("reverse-landscape"),
        6 => Some("reverse-portrait"),
        7 => Some("none"),
        _ => None,
    }
}

/// `marker-*` of CUPS and many printers, or `printer-supply` of PWG 5100.13.
fn markers(group: &IppAttributeGroup) -> Vec<Marker> {
    let percent = |level: i32| u8::try_from(level).ok().filter(|level| *level <= 100);
    let names = texts(group, "marker-names");
    if !names.is_empty() {
        let levels = integers(group, "marker-levels").into_iter().map(Some).chain(std::iter::repeat(None));
        return names
            .into_iter()
            .zip(levels)
            .map(|(name, level)| Marker { name, level_percent: level.and_then(percent) })
            .collect();
    }
    let described =
        texts(group, "printer-supply-description").into_iter().map(Some).chain(std::iter::repeat(None));
    let supplies = texts(group, "printer-supply");
    supplies.iter().zip(described).filter_map(|(supply, words)| supply_marker(supply, words)).collect()
}

/// `index=1;type=toner;maxcapacity=100;level=75;colorantname=black;`
fn supply_marker(supply: &str, words: Option<String>) -> Option<Marker> {
    let field =
        |name: &str| supply.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str| field(name).and_then(|text| text.parse::<i64>().ok());
    let name = words.filter(|words| !words.is_empty()).or_else(|| field("type").map(str::to_owned))?;
    let level_percent = match (number("level"), number("maxcapacity")) {
        (Some(level @ 0..), Some(most @ 1..)) => {
            u8::try_from(level.saturating_mul(100) / most).ok().filter(|l| *l <= 100)
        }
        _ => None,
    };
    Some(Marker { name, level_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supply_is_a_marker() {
        let marker =
            supply_marker("index=2;class=supplyThatIsConsumed;type=toner;maxcapacity=200;level=150;", None)
                .unwrap();
        assert_eq!(marker, Marker { name: "toner".into(), level_percent: Some(75) });
        assert_eq!(supply_marker("type=ink;level=-3", Some("Black".into())).unwrap().level_percent, None);
        assert_eq!(supply_marker("level=3", None), None);
    }

    #[test]
    fn sensing_among_formats_is_not_taking_anything() {
        let list = |formats: &[&str]| formats.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>();
        assert_eq!(formats(list(&["application/octet-stream", "image/urf"])), list(&["image/urf"]));
        assert_eq!(formats(list(&["application/octet-stream"])), list(&["application/octet-stream"]));
    }

    #[test]
    fn raster_only_is_told_by_the_formats() {
        let told = |formats: &[&str]| Told {
            formats: formats.iter().map(|f| (*f).to_owned()).collect(),
            ..Told::default()
        };
        assert!(
            told(&["image/urf"]).is_raster_only()
                && told(&["image/pwg-raster", "image/jpeg"]).is_raster_only()
        );
        assert!(
            !told(&["image/urf", "application/pdf"]).is_raster_only()
                && !told(&["image/jpeg"]).is_raster_only()
        );
    }
}
