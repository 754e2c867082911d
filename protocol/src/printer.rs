//! What a printer is and can, in IPP's words (RFC 8011, PWG 5100.x) whatever the back-end.

use serde::{Deserialize, Serialize};

use crate::ids::PrinterNumber;

/// How the agent reaches a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// `ipp://` or `ipps://`: a printer or a CUPS queue.
    Ipp,
    /// TCP 9100: raw bytes (ZPL, ESC/POS, PJL ...).
    Socket,
    /// A character device or FIFO such as `/dev/usb/lp0`.
    Device,
    /// A program that gets the document on its standard input.
    Command,
    /// Files in a directory, each with a sidecar of JSON.
    Directory,
}

/// IPP `printer-state`, and what is known when the device cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PrinterState {
    /// Ready for a job.
    Idle,
    /// Busy with a job.
    Processing,
    /// Wants a human: see the reasons.
    Stopped,
    /// The device does not answer the agent (`connecting-to-device` in the reasons).
    Unreachable,
    /// Nobody has been able to ask yet, or the back-end cannot tell.
    #[default]
    Unknown,
}

/// One supply of a printer (IPP `marker-*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Marker {
    /// `marker-names`: for example `black`.
    pub name: String,
    /// `marker-levels` in percent; none where the device does not know.
    pub level_percent: Option<u8>,
}

/// What a printer can do, as far as it told: empty lists mean "not told", not "nothing".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Capabilities {
    /// Highest `copies`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies_max: Option<u32>,
    /// `sides-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<String>,
    /// `media-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<String>,
    /// `media-ready`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_ready: Vec<String>,
    /// `media-source-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_source: Vec<String>,
    /// `print-color-mode-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub print_color_mode: Vec<String>,
    /// `print-scaling-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub print_scaling: Vec<String>,
    /// `printer-resolution-supported`, such as `600dpi` or `600x1200dpi`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub printer_resolution: Vec<String>,
    /// `output-bin-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_bin: Vec<String>,
    /// `number-up-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub number_up: Vec<u32>,
    /// `orientation-requested-supported`, by keyword.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orientation_requested: Vec<String>,
    /// `multiple-document-handling-supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub multiple_document_handling: Vec<String>,
    /// `page-ranges-supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_ranges: Option<bool>,
}

/// A printer as its agent reports it, in `hello` and when something changed in `report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrinterInfo {
    /// Its number on this agent; stays with the name for as long as the agent's ledger lives.
    pub number: PrinterNumber,
    /// Its name on this agent: from the configuration, or the queue's.
    pub name: String,
    /// How it is reached.
    pub backend: Backend,
    /// `printer-make-and-model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make_and_model: Option<String>,
    /// `printer-location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// MIME types that it takes; `application/octet-stream` takes anything.
    pub formats: Vec<String>,
    /// `printer-state`.
    #[serde(default)]
    pub state: PrinterState,
    /// `printer-state-reasons` without `none`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_reasons: Vec<String>,
    /// `printer-state-message`, or the agent's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_message: Option<String>,
    /// What it can.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Its supplies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<Marker>,
    /// Whether `delivery = stream` reaches the device byte by byte; otherwise it falls back to `spool`.
    #[serde(default)]
    pub streams: bool,
}

impl PrinterInfo {
    /// Whether a document of this MIME type can be given to the printer. Parameters (`; charset=`) do not count.
    pub fn takes(&self, format: &str) -> bool {
        let wanted = essence(format);
        self.formats.iter().any(|have| {
            let have = essence(have);
            have.eq_ignore_ascii_case(wanted) || have == "application/octet-stream" || have == "*/*"
        })
    }
}

fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

/// Options of a job: IPP Job Template attributes (RFC 8011 section 5.2, PWG 5100.13). None means the printer's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct JobOptions {
    /// Copies made by the device in one go (compare `qty`: repeated submissions to the device).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// `one-sided`, `two-sided-long-edge`, `two-sided-short-edge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<String>,
    /// PWG 5101.1 media size name, such as `iso_a4_210x297mm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// `auto`, `main`, `tray-1` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_source: Option<String>,
    /// `auto`, `color`, `monochrome` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub print_color_mode: Option<String>,
    /// Ranges of pages in rising order, each `[first, last]`, counted from 1: `[[1, 3], [7, 7]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub page_ranges: Vec<(u32, u32)>,
    /// `portrait`, `landscape`, `reverse-landscape`, `reverse-portrait`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation_requested: Option<String>,
    /// `auto`, `auto-fit`, `fill`, `fit`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub print_scaling: Option<String>,
    /// Pages on one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_up: Option<u32>,
    /// `600dpi`, `600x1200dpi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer_resolution: Option<String>,
    /// `face-down`, `stacker-1` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bin: Option<String>,
    /// `separate-documents-collated-copies` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_document_handling: Option<String>,
}

/// When bytes go to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// After the last packet, when the digest has matched.
    #[default]
    Spool,
    /// As packets become durable; the device stream stays open over a gap.
    Stream,
}

/// What happens with a job whose outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnUncertain {
    /// Wait for a human's decision.
    #[default]
    Hold,
    /// Print it again: it may come out twice.
    Reprint,
    /// Leave it: it may not have come out.
    Drop,
}

/// What becomes of jobs that waited for a printer while its agent was away, when the agent is back after a minute or longer. Jobs that
/// the agent may have something of already are not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "policy", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OnReturn {
    /// All are printed.
    #[default]
    PrintAll,
    /// The newest one is printed, the others are canceled.
    NewestOnly,
    /// All are held until somebody releases them.
    Hold,
    /// Those that were accepted longer ago than this are canceled.
    DropOlderThan {
        /// In seconds.
        seconds: u64,
    },
}

/// Written out, because a tagged variant without fields takes any fields.
impl<'de> Deserialize<'de> for OnReturn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Policy {
            PrintAll,
            NewestOnly,
            Hold,
            DropOlderThan,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            policy: Policy,
            seconds: Option<u64>,
        }
        let Written { policy, seconds } = Written::deserialize(deserializer)?;
        match (policy, seconds) {
            (Policy::PrintAll, None) => Ok(Self::PrintAll),
            (Policy::NewestOnly, None) => Ok(Self::NewestOnly),
            (Policy::Hold, None) => Ok(Self::Hold),
            (Policy::DropOlderThan, Some(seconds)) => Ok(Self::DropOlderThan { seconds }),
            (Policy::DropOlderThan, None) => Err(serde::de::Error::missing_field("seconds")),
            (_, Some(_)) => Err(serde::de::Error::custom("`seconds` belongs to `drop-older-than` only")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_matched_by_its_essence() {
        let mut printer: PrinterInfo = serde_json::from_str(
            r#"{"number":1,"name":"office","backend":"ipp","formats":["application/pdf","text/plain;charset=utf-8"]}"#,
        )
        .unwrap();
        assert!(printer.takes("application/PDF") && printer.takes("text/plain; charset=us-ascii"));
        assert!(!printer.takes("image/urf"));
        printer.formats = vec!["application/octet-stream".into()];
        assert!(printer.takes("image/urf"));
    }

    #[test]
    fn a_policy_is_read_as_it_is_written_and_takes_nothing_else() {
        for policy in [
            OnReturn::PrintAll,
            OnReturn::NewestOnly,
            OnReturn::Hold,
            OnReturn::DropOlderThan { seconds: 60 },
        ] {
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<OnReturn>(&text).unwrap(), policy, "{text}");
        }
        for bad in [
            r#"{"policy":"hold","x":1}"#,
            r#"{"policy":"hold","seconds":1}"#,
            r#"{"policy":"drop-older-than"}"#,
            r#"{"policy":"burn"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<OnReturn>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_option_is_an_error_that_names_it() {
        let error = serde_json::from_str::<JobOptions>(r#"{"side":"one-sided"}"#).unwrap_err();
        assert!(error.to_string().contains("`side`"), "{error}");
    }
}
