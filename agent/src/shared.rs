//! What the parts of a running agent have in common.

pub(crate) mod stirred;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inkwire_protocol::ids::{PrinterNumber, StoreEpoch};
use inkwire_protocol::message::HeldTransfer;
use inkwire_protocol::printer::PrinterInfo;
use tokio::sync::{mpsc, watch};

use self::stirred::Stirred;
use crate::book::Book;
use crate::clock::BrokerClock;
use crate::link::{Connection, LinkCommand, Say, SessionNumber};
use crate::spool::{JobKey, Ledger};

/// Handles of everything that more than one part uses.
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) book: Book,
    pub(crate) clock: Arc<BrokerClock>,
    /// Where large documents lie.
    pub(crate) spool_dir: PathBuf,
    /// Free space that the spool leaves.
    pub(crate) min_free_bytes: u64,
    /// To the connection.
    pub(crate) commands: mpsc::Sender<LinkCommand>,
    /// The session that is live, once all that must come before other messages is done.
    pub(crate) online: watch::Sender<Option<(SessionNumber, StoreEpoch)>>,
    /// Where the connection stands, for people at this PC.
    pub(crate) link: watch::Sender<Connection>,
    /// The printers as they were last seen.
    pub(crate) printers: watch::Sender<Arc<Vec<PrinterInfo>>>,
    /// Printers to be asked out of turn.
    pub(crate) stirred: Stirred,
    /// Whether silence on the connection would be suspicious.
    pub(crate) expecting: watch::Sender<bool>,
    /// Documents that are partly here.
    pub(crate) held: Mutex<BTreeMap<JobKey, HeldTransfer>>,
    /// The smoothed round trip, as the connection measured it.
    pub(crate) rtt_us: AtomicU64,
}

impl Shared {
    /// Says something on the connection; in a session that is over it is not said.
    pub(crate) async fn say(&self, session: SessionNumber, what: Say) {
        if self.commands.send(LinkCommand { session, what }).await.is_err() {
            tracing::debug!("the connection is stopping: a message is not sent");
        }
    }

    /// Says something that may be left out when the connection is busy.
    pub(crate) fn mention(&self, what: Say) {
        let Some((session, _)) = *self.online.borrow() else { return };
        if self.commands.try_send(LinkCommand { session, what }).is_err() {
            tracing::trace!("progress is not told: the connection is busy");
        }
    }

    /// Whether there is work that makes a connection urgent.
    pub(crate) fn is_urgent(&self) -> bool {
        self.ledger.has_unacked() || !self.held().is_empty()
    }

    /// Documents that are partly here, for `hello`.
    pub(crate) fn held(&self) -> Vec<HeldTransfer> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    /// A document is partly here, or not any more.
    pub(crate) fn set_held(&self, key: JobKey, held: Option<HeldTransfer>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held {
            Some(held) => drop(all.insert(key, held)),
            None => drop(all.remove(&key)),
        }
    }

    /// A printer by its number.
    pub(crate) fn printer(&self, number: PrinterNumber) -> Option<PrinterInfo> {
        self.printers.borrow().iter().find(|printer| printer.number == number).cloned()
    }

    /// The round trip of the connection.
    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us.load(Ordering::Relaxed))
    }
}
