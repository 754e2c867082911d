//! Bounds that JSON cannot express: how many, how long, in which range.

use std::collections::BTreeSet;

use super::{
    Fact, FactMessage, FromPairing, HeldTransfer, Hello, Open, Refuse, Report, ToAgent, ToBroker, ToPairing,
};
use crate::ids::Attempt;
use crate::limits::{
    MAX_LIST_ITEMS, MAX_NAME_CHARS, MAX_OPEN_TRANSFERS, MAX_PACKET_BYTES, MAX_PRINTERS, MAX_QTY,
    MIN_PACKET_BYTES,
};
use crate::printer::PrinterInfo;
use crate::transfer::Layout;

/// A field of a message that is out of its bounds. The peer that sent it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// Too many items.
    #[error("`{field}` has {got} items, at most {most} are allowed")]
    Many {
        /// The field.
        field: &'static str,
        /// How many.
        got: usize,
        /// The bound.
        most: usize,
    },
    /// A text that is too long.
    #[error("`{field}` is longer than {MAX_NAME_CHARS} characters")]
    Long {
        /// The field.
        field: &'static str,
    },
    /// A text that must say something.
    #[error("`{field}` is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// The same thing twice.
    #[error("`{field}` names {what} twice")]
    Twice {
        /// The field.
        field: &'static str,
        /// What.
        what: String,
    },
    /// A number out of its range.
    #[error("`{field}` is {got}, it must be {range}")]
    Range {
        /// The field.
        field: &'static str,
        /// What came.
        got: u64,
        /// The range in words.
        range: &'static str,
    },
}

pub(super) fn to_broker(message: &ToBroker) -> Result<(), OutOfBounds> {
    match message {
        ToBroker::Hello(it) => hello(it),
        ToBroker::Report(it) => report(it),
        ToBroker::Refuse(it) => refuse(it),
        ToBroker::Fact(it) => fact(it),
        ToBroker::Ack(_) | ToBroker::Reconciled { .. } | ToBroker::Progress { .. } | ToBroker::Unknown => {
            Ok(())
        }
    }
}

pub(super) fn to_agent(message: &ToAgent) -> Result<(), OutOfBounds> {
    match message {
        ToAgent::Welcome(it) => {
            range("report_interval_ms", it.report_interval_ms, it.report_interval_ms > 0, "at least 1")?;
            name("agent_name", &it.agent_name)
        }
        ToAgent::Open(it) => open(it),
        ToAgent::ReportOk(_)
        | ToAgent::Blocked { .. }
        | ToAgent::Unblocked { .. }
        | ToAgent::Drop { .. }
        | ToAgent::Request { .. }
        | ToAgent::FactAck { .. }
        | ToAgent::Drain { .. }
        | ToAgent::Unknown => Ok(()),
    }
}

pub(super) fn to_pairing(message: &ToPairing) -> Result<(), OutOfBounds> {
    match message {
        ToPairing::Pair { public_key, proof, hostname, os, version, enrolment } => {
            name("public_key", public_key)?;
            name("proof", proof)?;
            name("hostname", hostname)?;
            name("os", os)?;
            name("version", version)?;
            enrolment.as_deref().map_or(Ok(()), |token| name("enrolment", token))
        }
        ToPairing::Unknown => Ok(()),
    }
}

pub(super) fn from_pairing(message: &FromPairing) -> Result<(), OutOfBounds> {
    match message {
        FromPairing::Code { code, .. } => name("code", code),
        FromPairing::Challenge { nonce } => name("nonce", nonce),
        FromPairing::Paired { .. } | FromPairing::Refused { .. } | FromPairing::Unknown => Ok(()),
    }
}

fn hello(hello: &Hello) -> Result<(), OutOfBounds> {
    name("hostname", &hello.hostname)?;
    name("os", &hello.os)?;
    name("version", &hello.version)?;
    printers(&hello.printers)?;
    many("transfers", hello.transfers.len(), MAX_OPEN_TRANSFERS)?;
    let mut seen = BTreeSet::new();
    for HeldTransfer { job, attempt: try_, packet_bytes, next_seq: _ } in &hello.transfers {
        attempt(*try_)?;
        let fits = (MIN_PACKET_BYTES..=MAX_PACKET_BYTES).contains(packet_bytes);
        range("packet_bytes", u64::from(*packet_bytes), fits, "1024 to 16320")?;
        if !seen.insert((*job, *try_)) {
            return Err(OutOfBounds::Twice { field: "transfers", what: format!("job {job} attempt {try_}") });
        }
    }
    Ok(())
}

fn report(report: &Report) -> Result<(), OutOfBounds> {
    report.printers.as_deref().map_or(Ok(()), printers)
}

fn printers(list: &[PrinterInfo]) -> Result<(), OutOfBounds> {
    many("printers", list.len(), MAX_PRINTERS)?;
    let mut numbers = BTreeSet::new();
    let mut names = BTreeSet::new();
    for it in list {
        if !numbers.insert(it.number) {
            return Err(OutOfBounds::Twice { field: "printers", what: format!("number {}", it.number) });
        }
        if !names.insert(it.name.as_str()) {
            return Err(OutOfBounds::Twice { field: "printers", what: format!("name `{}`", it.name) });
        }
        printer(it)?;
    }
    Ok(())
}

fn printer(it: &PrinterInfo) -> Result<(), OutOfBounds> {
    name("printers.name", &it.name)?;
    if it.name.is_empty() {
        return Err(OutOfBounds::Empty { field: "printers.name" });
    }
    for text in [&it.make_and_model, &it.location].into_iter().flatten() {
        name("printers.make_and_model or location", text)?;
    }
    names("printers.formats", &it.formats)?;
    names("printers.state_reasons", &it.state_reasons)?;
    many("printers.markers", it.markers.len(), MAX_LIST_ITEMS)?;
    it.markers.iter().try_for_each(|marker| name("printers.markers.name", &marker.name))?;
    let can = &it.capabilities;
    many("printers.capabilities.number-up", can.number_up.len(), MAX_LIST_ITEMS)?;
    let lists = [
        &can.sides,
        &can.media,
        &can.media_ready,
        &can.media_source,
        &can.print_color_mode,
        &can.print_scaling,
        &can.printer_resolution,
        &can.output_bin,
        &can.orientation_requested,
        &can.multiple_document_handling,
    ];
    lists.into_iter().try_for_each(|list| names("printers.capabilities", list))
}

fn open(open: &Open) -> Result<(), OutOfBounds> {
    attempt(open.attempt)?;
    let Ok(layout) = Layout::new(open.bytes, open.packet_bytes) else {
        let got = u64::from(open.packet_bytes);
        return Err(OutOfBounds::Range {
            field: "packet_bytes",
            got,
            range: "1024 to 16320, and fit the size",
        });
    };
    let next = open.next_seq;
    range("next_seq", u64::from(next), next <= layout.packets(), "at most the number of packets")?;
    range("qty", u64::from(open.qty), (1..=MAX_QTY).contains(&open.qty), "1 to 1000")?;
    range("priority", u64::from(open.priority), (1..=100).contains(&open.priority), "1 to 100")?;
    name("title", &open.title)?;
    name("format", &open.format)
}

fn refuse(refuse: &Refuse) -> Result<(), OutOfBounds> {
    attempt(refuse.attempt)
}

fn fact(message: &FactMessage) -> Result<(), OutOfBounds> {
    attempt(message.attempt)?;
    range("fact_seq", u64::from(message.fact_seq.0), message.fact_seq.0 > 0, "at least 1")?;
    match &message.fact {
        Fact::Stopped { reasons, detail: _ } => names("reasons", reasons),
        Fact::Aborted { reason, detail: _ } | Fact::Uncertain { reason, .. } => name("reason", reason),
        Fact::Spooled
        | Fact::Corrupt { .. }
        | Fact::Printing
        | Fact::Held
        | Fact::Completed { .. }
        | Fact::Canceled
        | Fact::Expired => Ok(()),
    }
}

fn attempt(attempt: Attempt) -> Result<(), OutOfBounds> {
    range("attempt", u64::from(attempt.0), attempt.0 > 0, "at least 1")
}

fn range(field: &'static str, got: u64, fits: bool, range: &'static str) -> Result<(), OutOfBounds> {
    if fits { Ok(()) } else { Err(OutOfBounds::Range { field, got, range }) }
}

fn many(field: &'static str, got: usize, most: usize) -> Result<(), OutOfBounds> {
    if got <= most { Ok(()) } else { Err(OutOfBounds::Many { field, got, most }) }
}

fn name(field: &'static str, text: &str) -> Result<(), OutOfBounds> {
    if text.chars().nth(MAX_NAME_CHARS).is_some() { Err(OutOfBounds::Long { field }) } else { Ok(()) }
}

fn names(field: &'static str, list: &[String]) -> Result<(), OutOfBounds> {
    many(field, list.len(), MAX_LIST_ITEMS)?;
    list.iter().try_for_each(|text| name(field, text))
}
