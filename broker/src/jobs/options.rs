//! Options of a job against what its printer can: pure rules.

use inkwire_protocol::app::{PrinterUpdate, Problem, ProblemKind};
use inkwire_protocol::limits::{DEFAULT_EXPIRY, MAX_NAME_CHARS};
use inkwire_protocol::printer::{Backend, Capabilities, JobOptions, OnReturn, PrinterInfo};

/// Ranges of pages in one job: more are a document of their own.
const MAX_PAGE_RANGES: usize = 64;
/// The slowest and the fastest pacing: slower than a telegraph, or faster than any cable, is a slip of the pen.
const PACING_BYTES_S: std::ops::RangeInclusive<u64> = 64..=1_000_000_000;

/// What is wrong with one option.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    option: &'static str,
    detail: String,
}

/// A job's options over those that are set for its printer, and warnings about what will not be honoured.
///
/// # Errors
/// What the job itself asks for must be possible, as far as the printer told what it can. What is only set for the printer and is not
/// possible (any more) is left out with a warning.
pub(super) fn settle(
    job: &JobOptions,
    set: &JobOptions,
    printer: &PrinterInfo,
) -> Result<(JobOptions, Vec<String>), Problem> {
    check(job, &printer.capabilities, "/options")?;
    let mut warnings = Vec::new();
    let mut set = set.clone();
    for fault in faults(&set, &printer.capabilities) {
        warnings
            .push(format!("the printer's setting was left out: option {}: {}", fault.option, fault.detail));
        forget(&mut set, fault.option);
    }
    let options = over(job, set);
    warnings.extend(not_honoured(&options, printer.backend));
    Ok((options, warnings))
}

/// Whether a printer can be set so.
pub(crate) fn check_printer_update(update: &PrinterUpdate, printer: &PrinterInfo) -> Result<(), Problem> {
    let wrong = |pointer: &str, detail: String| Err(ProblemKind::InvalidParams.because(detail).at(pointer));
    if let Some(options) = &update.options {
        check(options, &printer.capabilities, "/options")?;
    }
    if let Some(rate) = update.pacing_bytes_s.filter(|rate| *rate != 0) {
        if matches!(printer.backend, Backend::Ipp | Backend::Directory) {
            let detail =
                "only printers reached by a socket, a device or a command can be paced: leave it out";
            return wrong("/pacing_bytes_s", detail.into());
        }
        if !PACING_BYTES_S.contains(&rate) {
            let (least, most) = (PACING_BYTES_S.start(), PACING_BYTES_S.end());
            return wrong("/pacing_bytes_s", format!("is {rate}; it must be 0, or {least} to {most}"));
        }
    }
    if let Some(OnReturn::DropOlderThan { seconds }) = update.on_return {
        let most = DEFAULT_EXPIRY.as_secs();
        if !(1..=most).contains(&seconds) {
            return wrong("/on_return/seconds", format!("is {seconds}; it must be 1 to {most}"));
        }
    }
    Ok(())
}

/// Whether a printer with these capabilities can do what is asked for; the first thing that it cannot is named.
fn check(options: &JobOptions, can: &Capabilities, pointer: &str) -> Result<(), Problem> {
    match faults(options, can).into_iter().next() {
        None => Ok(()),
        Some(Fault { option, detail }) => {
            let problem = ProblemKind::InvalidParams.because(format!("option {option}: {detail}"));
            Err(problem.at(format!("{pointer}/{option}")))
        }
    }
}

fn faults(o: &JobOptions, can: &Capabilities) -> Vec<Fault> {
    let media = |name: &str| {
        // A printer that takes custom sizes says so by their bounds.
        let custom = can.media.iter().any(|have| have.starts_with("custom_m"));
        name.starts_with("custom_") && custom
    };
    let media = o.media.as_deref().filter(|name| !media(name));
    let found = [
        o.copies.and_then(|n| copies(n, can.copies_max)),
        word("sides", o.sides.as_deref(), &can.sides),
        word("media", media, &can.media),
        word("media-source", o.media_source.as_deref(), &can.media_source),
        word("print-color-mode", o.print_color_mode.as_deref(), &can.print_color_mode),
        page_ranges(&o.page_ranges, can.page_ranges),
        word("orientation-requested", o.orientation_requested.as_deref(), &can.orientation_requested),
        word("print-scaling", o.print_scaling.as_deref(), &can.print_scaling),
        o.number_up.and_then(|n| number_up(n, &can.number_up)),
        word("printer-resolution", o.printer_resolution.as_deref(), &can.printer_resolution),
        word("output-bin", o.output_bin.as_deref(), &can.output_bin),
        word(
            "multiple-document-handling",
            o.multiple_document_handling.as_deref(),
            &can.multiple_document_handling,
        ),
    ];
    found.into_iter().flatten().collect()
}

/// A keyword; an empty list of what is supported means that the printer did not tell.
fn word(option: &'static str, value: Option<&str>, supported: &[String]) -> Option<Fault> {
    let value = value?;
    if value.is_empty() || value.chars().count() > MAX_NAME_CHARS || value.chars().any(char::is_control) {
        let detail = format!("a value has 1 to {MAX_NAME_CHARS} characters, and no control characters");
        return Some(Fault { option, detail });
    }
    let fits = supported.is_empty() || supported.iter().any(|have| have == value);
    let detail = || format!("the printer does not support `{value}`; it supports {}", supported.join(", "));
    (!fits).then(|| Fault { option, detail: detail() })
}

fn copies(wanted: u32, most: Option<u32>) -> Option<Fault> {
    let most = most.unwrap_or(i32::MAX as u32);
    let detail = || format!("{wanted} copies; the printer makes 1 to {most}: or use qty");
    (!(1..=most).contains(&wanted)).then(|| Fault { option: "copies", detail: detail() })
}

fn number_up(wanted: u32, supported: &[u32]) -> Option<Fault> {
    let fits = if supported.is_empty() { (1..=1024).contains(&wanted) } else { supported.contains(&wanted) };
    let list = || supported.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let detail = || match supported.is_empty() {
        true => format!("{wanted} pages on a side; it must be 1 to 1024"),
        false => format!("the printer does not put {wanted} pages on a side; it supports {}", list()),
    };
    (!fits).then(|| Fault { option: "number-up", detail: detail() })
}

fn page_ranges(ranges: &[(u32, u32)], supported: Option<bool>) -> Option<Fault> {
    let fault = |detail: String| Some(Fault { option: "page-ranges", detail });
    if ranges.is_empty() {
        return None;
    }
    if supported == Some(false) {
        return fault("the printer cannot leave out pages: submit only those that are wanted".into());
    }
    if ranges.len() > MAX_PAGE_RANGES {
        return fault(format!("at most {MAX_PAGE_RANGES} ranges"));
    }
    let mut before = 0;
    for &(first, last) in ranges {
        if first <= before || last < first || last > i32::MAX as u32 {
            return fault(format!("[{first}, {last}]: ranges are [first, last], rising, counted from 1"));
        }
        before = last;
    }
    None
}

/// What a job says over what is set for its printer.
fn over(job: &JobOptions, set: JobOptions) -> JobOptions {
    let job = job.clone();
    JobOptions {
        copies: job.copies.or(set.copies),
        sides: job.sides.or(set.sides),
        media: job.media.or(set.media),
        media_source: job.media_source.or(set.media_source),
        print_color_mode: job.print_color_mode.or(set.print_color_mode),
        page_ranges: if job.page_ranges.is_empty() { set.page_ranges } else { job.page_ranges },
        orientation_requested: job.orientation_requested.or(set.orientation_requested),
        print_scaling: job.print_scaling.or(set.print_scaling),
        number_up: job.number_up.or(set.number_up),
        printer_resolution: job.printer_resolution.or(set.printer_resolution),
        output_bin: job.output_bin.or(set.output_bin),
        multiple_document_handling: job.multiple_document_handling.or(set.multiple_document_handling),
    }
}

fn forget(options: &mut JobOptions, option: &str) {
    match option {
        "copies" => options.copies = None,
        "sides" => options.sides = None,
        "media" => options.media = None,
        "media-source" => options.media_source = None,
        "print-color-mode" => options.print_color_mode = None,
        "page-ranges" => options.page_ranges.clear(),
        "orientation-requested" => options.orientation_requested = None,
        "print-scaling" => options.print_scaling = None,
        "number-up" => options.number_up = None,
        "printer-resolution" => options.printer_resolution = None,
        "output-bin" => options.output_bin = None,
        _ => options.multiple_document_handling = None,
    }
}

/// What a back-end that is not IPP makes of options: one warning that names them all.
fn not_honoured(options: &JobOptions, backend: Backend) -> Option<String> {
    let names = match serde_json::to_value(options) {
        Ok(serde_json::Value::Object(named)) => named.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        Ok(_) | Err(_) => Vec::new(),
    };
    let what = match backend {
        _ if names.is_empty() => return None,
        Backend::Ipp => return None,
        Backend::Socket | Backend::Device => {
            "this printer is given the document as it is: say it in the document itself (copies: use qty)"
        }
        Backend::Command => "the program is told in INKWIRE_OPTIONS; whether it heeds them is its own",
        Backend::Directory => "they are written beside the file, for whoever takes it",
    };
    Some(format!("options not applied by Inkwire: {}; {what}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "written as a literal")]
    fn printer(backend: &str, capabilities: serde_json::Value) -> PrinterInfo {
        serde_json::from_value(json!({
            "number": 1, "name": "office", "backend": backend, "formats": ["application/pdf"],
            "capabilities": capabilities,
        }))
        .unwrap()
    }

    fn options(value: serde_json::Value) -> JobOptions {
        serde_json::from_value(value).unwrap()
    }

    fn full() -> PrinterInfo {
        printer(
            "ipp",
            json!({
                "copies-max": 9, "sides": ["one-sided"], "media": ["iso_a4_210x297mm"], "media-source": ["tray-1"],
                "print-color-mode": ["monochrome"], "print-scaling": ["fit"], "printer-resolution": ["600dpi"],
                "output-bin": ["face-down"], "number-up": [1, 2], "orientation-requested": ["portrait"],
                "multiple-document-handling": ["single-document"], "page-ranges": false,
            }),
        )
    }

    #[test]
    fn every_option_is_checked_and_what_is_supported_is_said() {
        for (name, bad, said) in [
            ("copies", json!(10), "1 to 9"),
            ("copies", json!(0), "1 to 9"),
            ("sides", json!("two-sided-long-edge"), "one-sided"),
            ("media", json!("na_letter_8.5x11in"), "iso_a4_210x297mm"),
            ("media", json!("custom_x_100x100mm"), "iso_a4_210x297mm"),
            ("media-source", json!("tray-2"), "tray-1"),
            ("print-color-mode", json!("color"), "monochrome"),
            ("print-scaling", json!("fill"), "fit"),
            ("printer-resolution", json!("1200dpi"), "600dpi"),
            ("output-bin", json!("stacker-1"), "face-down"),
            ("number-up", json!(4), "1, 2"),
            ("orientation-requested", json!("landscape"), "portrait"),
            ("multiple-document-handling", json!("x"), "single-document"),
            ("page-ranges", json!([[1, 2]]), "only those"),
        ] {
            let asked = options(json!({ name: bad }));
            let problem = settle(&asked, &JobOptions::default(), &full()).unwrap_err();
            assert_eq!(problem.pointer, Some(format!("/options/{name}")), "{}", problem.detail);
            assert!(problem.detail.contains(said), "{}", problem.detail);
            // A printer that did not tell takes what makes sense.
            let silent = printer("ipp", json!({}));
            let taken = settle(&asked, &JobOptions::default(), &silent).is_ok();
            assert_eq!(taken, asked.copies != Some(0), "{name}");
        }
    }

    #[test]
    fn a_custom_size_fits_a_printer_that_has_bounds_for_it() {
        let printer = printer("ipp", json!({ "media": ["custom_min_50x50mm", "custom_max_216x356mm"] }));
        let asked = options(json!({ "media": "custom_label_100x150mm" }));
        assert!(settle(&asked, &JobOptions::default(), &printer).is_ok());
    }

    #[test]
    fn ranges_of_pages_rise_from_one() {
        let silent = printer("ipp", json!({}));
        for (ranges, good) in [
            (json!([[1, 3], [5, 5]]), true),
            (json!([[0, 3]]), false),
            (json!([[3, 2]]), false),
            (json!([[1, 3], [3, 4]]), false),
        ] {
            let asked = options(json!({ "page-ranges": ranges }));
            assert_eq!(settle(&asked, &JobOptions::default(), &silent).is_ok(), good, "{asked:?}");
        }
    }

    #[test]
    fn a_job_outranks_what_is_set_and_what_is_set_in_vain_is_left_out_with_a_warning() {
        let set =
            options(json!({ "sides": "two-sided-long-edge", "media": "iso_a4_210x297mm", "number-up": 2 }));
        let asked = options(json!({ "number-up": 1 }));
        let (settled, warnings) = settle(&asked, &set, &full()).unwrap();
        assert_eq!(settled, options(json!({ "media": "iso_a4_210x297mm", "number-up": 1 })));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("sides"), "{warnings:?}");
    }

    #[test]
    fn what_a_back_end_cannot_do_is_a_warning() {
        let asked = options(json!({ "copies": 2, "sides": "one-sided" }));
        for (backend, said) in [("socket", "qty"), ("command", "INKWIRE_OPTIONS"), ("directory", "beside")] {
            let (settled, warnings) =
                settle(&asked, &JobOptions::default(), &printer(backend, json!({}))).unwrap();
            assert_eq!(settled, asked);
            assert!(warnings[0].contains("copies, sides") && warnings[0].contains(said), "{warnings:?}");
        }
        let none = settle(&JobOptions::default(), &JobOptions::default(), &printer("socket", json!({})));
        assert!(none.unwrap().1.is_empty());
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let at = |update: serde_json::Value, backend: &str| {
            let mut update = update;
            update["printer"] = json!("018f7d2e-0000-7000-8000-000000000000");
            let update: PrinterUpdate = serde_json::from_value(update).unwrap();
            check_printer_update(&update, &printer(backend, json!({}))).err().and_then(|p| p.pointer)
        };
        assert_eq!(at(json!({ "pacing_bytes_s": 9600 }), "socket"), None);
        assert_eq!(at(json!({ "pacing_bytes_s": 0 }), "ipp"), None);
        assert_eq!(at(json!({ "pacing_bytes_s": 9600 }), "ipp").as_deref(), Some("/pacing_bytes_s"));
        assert_eq!(at(json!({ "pacing_bytes_s": 1 }), "device").as_deref(), Some("/pacing_bytes_s"));
        let older = json!({ "on_return": { "policy": "drop-older-than", "seconds": 0 } });
        assert_eq!(at(older, "ipp").as_deref(), Some("/on_return/seconds"));
        assert_eq!(at(json!({ "options": { "copies": 0 } }), "ipp").as_deref(), Some("/options/copies"));
    }
}
