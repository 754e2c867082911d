//! Answers of printers.

#[path = "../../agent/src/printers/backend.rs"]
pub mod backend;
pub mod ipp;
#[path = "../../agent/src/printers/limits.rs"]
mod limits;
#[path = "../../agent/src/printers/outcome.rs"]
mod outcome;

mod config {
    //! What a back-end shows of its configuration.

    use inkwire_protocol::ids::PrinterNumber;
    use inkwire_protocol::printer::{Backend, PrinterInfo, PrinterState};

    #[derive(Debug, Clone)]
    pub(super) struct Common {
        pub(super) name: String,
        pub(super) number: PrinterNumber,
        pub(super) formats: Vec<String>,
        pub(super) make_and_model: Option<String>,
        pub(super) location: Option<String>,
    }

    impl Common {
        pub(super) fn info(&self, backend: Backend, streams: bool) -> PrinterInfo {
            PrinterInfo {
                number: self.number,
                name: self.name.clone(),
                backend,
                make_and_model: None,
                location: None,
                formats: self.formats.clone(),
                state: PrinterState::Unknown,
                state_reasons: Vec::new(),
                state_message: None,
                capabilities: Default::default(),
                markers: Vec::new(),
                streams,
            }
        }
    }
}
