//! Printers whose state has probably just changed: a job began or ended there, or the device wants something.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use inkwire_protocol::ids::PrinterNumber;
use tokio::sync::Notify;

/// Who is to be asked out of turn. At most one entry a printer, however many labels come by.
#[derive(Debug, Default)]
pub(crate) struct Stirred {
    printers: Mutex<BTreeSet<PrinterNumber>>,
    some: Notify,
}

impl Stirred {
    /// Something happened at this printer.
    pub(crate) fn stir(&self, printer: PrinterNumber) {
        self.printers.lock().unwrap_or_else(PoisonError::into_inner).insert(printer);
        self.some.notify_one();
    }

    /// Returns when something happened since the last [`Stirred::take`].
    pub(crate) async fn some(&self) {
        self.some.notified().await;
    }

    /// Where something happened.
    pub(crate) fn take(&self) -> BTreeSet<PrinterNumber> {
        std::mem::take(&mut *self.printers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
