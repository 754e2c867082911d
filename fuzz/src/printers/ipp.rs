//! What an IPP printer answers, read as the agent reads it.

#[path = "../../../agent/src/printers/ipp/codec.rs"]
mod codec;
#[path = "../../../agent/src/printers/ipp/info.rs"]
mod info;
#[path = "../../../agent/src/printers/ipp/job.rs"]
mod job;
#[path = "../../../agent/src/printers/ipp/note.rs"]
mod note;
#[path = "../../../agent/src/printers/ipp/status.rs"]
mod status;
#[path = "../../../agent/src/printers/ipp/values.rs"]
mod values;

use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, JobId, PrinterNumber};
use inkwire_protocol::limits::{MAX_DETAIL_CHARS, MAX_LIST_ITEMS};
use inkwire_protocol::message::{Report, ToBroker, Witness, decode, encode};
use ipp::model::DelimiterTag;

use super::backend::Task;
use super::config::Common;

/// Whatever a printer answers, the agent goes on, and what it tells the broker is within the protocol's bounds.
pub fn answer(bytes: &[u8]) {
    let Ok(answer) = codec::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert!(answer.message().chars().count() < 8 * 1024 * 1024);
    let common = Common {
        name: "printer".into(),
        number: PrinterNumber(1),
        formats: Vec::new(),
        make_and_model: None,
        location: None,
    };
    let printer = info::Told::of(&answer).info(&common);
    let report = Report { seq: 1, local_endpoint: None, rtt_ms: None, printers: Some(vec![printer]) };
    let text = encode(&ToBroker::Report(report)).expect("a report has a form");
    if let Err(error) = decode::<ToBroker>(&text) {
        panic!("a printer makes the agent say what the broker refuses: {error}");
    }
    let task = Task {
        job: JobId::from_uuid(Default::default()),
        attempt: Attempt(1),
        copy: 1,
        title: "title".into(),
        format: "application/pdf".into(),
        bytes: 4096,
        options: Default::default(),
        streaming: false,
    };
    for group in answer.groups(DelimiterTag::JobAttributes).take(MAX_LIST_ITEMS) {
        let view = job::View::of(group);
        if let Some(outcome) = view.outcome(&task, Witness::Device) {
            assert!(format!("{outcome:?}").chars().count() < 64 * MAX_DETAIL_CHARS);
        }
    }
}

/// A note in the ledger, perhaps of a newer agent.
pub fn note(value: &serde_json::Value) {
    if let Some(note) = note::Note::of(value) {
        assert_eq!(note::Note::of(&note.to_value()), Some(note));
    }
}
