//! How the printers are: asked now and then, told when something changed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use inkwire_protocol::ids::PrinterNumber;
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo, PrinterState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::{DESCRIBE_WITHIN, STIRRED_ASK_AFTER, STIRRED_ASK_EVERY};
use crate::printers::Backend;
use crate::shared::Shared;

/// A printer of this agent.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) number: PrinterNumber,
    pub(crate) kind: Kind,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Known {
    /// What can be said of it before it was asked.
    pub(crate) fn unasked(&self) -> PrinterInfo {
        unasked(self.number, self.name.clone(), self.kind)
    }
}

/// A printer of which only number and name are known.
pub(crate) fn unasked(number: PrinterNumber, name: String, backend: Kind) -> PrinterInfo {
    PrinterInfo {
        number,
        name,
        backend,
        make_and_model: None,
        location: None,
        formats: Vec::new(),
        state: PrinterState::Unknown,
        state_reasons: Vec::new(),
        state_message: None,
        capabilities: Default::default(),
        markers: Vec::new(),
        streams: false,
    }
}

/// Asks every printer at once; one that does not answer in time is as it was before, and unreachable.
pub(crate) async fn ask(printers: &[Known], before: &[PrinterInfo], within: Duration) -> Vec<PrinterInfo> {
    join_all(printers.iter().map(|printer| async move {
        let described = tokio::time::timeout(within, printer.backend.describe()).await;
        match described {
            Ok(info) => PrinterInfo { number: printer.number, name: printer.name.clone(), ..info },
            Err(_) => {
                let known = before.iter().find(|info| info.number == printer.number).cloned();
                PrinterInfo {
                    state: PrinterState::Unreachable,
                    state_reasons: vec!["connecting-to-device".into()],
                    state_message: Some(format!("no answer within {} s", within.as_secs())),
                    ..known.unwrap_or_else(|| printer.unasked())
                }
            }
        }
    }))
    .await
}

/// Asks all of them again and again until told to stop, and those out of turn at which something happened.
pub(crate) async fn run(shared: Arc<Shared>, printers: Vec<Known>, every: Duration, stop: CancellationToken) {
    let work = async {
        loop {
            look(&shared, &printers).await;
            let next = Instant::now() + every;
            while Instant::now() < next && tokio::time::timeout_at(next, shared.stirred.some()).await.is_ok()
            {
                tokio::time::sleep(STIRRED_ASK_AFTER).await;
                let stirred = shared.stirred.take();
                let some: Vec<_> =
                    printers.iter().filter(|printer| stirred.contains(&printer.number)).cloned().collect();
                look(&shared, &some).await;
                tokio::time::sleep(STIRRED_ASK_EVERY - STIRRED_ASK_AFTER).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Asks some of the printers and puts their answers in the place of those before.
async fn look(shared: &Shared, some: &[Known]) {
    let before = Arc::clone(&shared.printers.borrow());
    let answers = ask(some, &before, DESCRIBE_WITHIN).await;
    shared.printers.send_if_modified(|told| {
        let mut now = told.as_ref().clone();
        for answer in answers {
            match now.iter_mut().find(|info| info.number == answer.number) {
                Some(info) => *info = answer,
                None => now.push(answer),
            }
        }
        let changed = **told != now;
        if changed {
            *told = Arc::new(now);
        }
        changed
    });
}
