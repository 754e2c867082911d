//! Printers as submissions name them, in memory: a warehouse sends thousands of labels to the same few printers, and a query
//! for each would cost more than the rest of the check.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inkwire_protocol::ids::{AccountId, PrinterId};

use crate::store::{NewEvent, PrinterRow};

/// Names and ids that are remembered, all accounts together; more than that, and it begins anew. A row has some kilobytes.
const MOST: usize = 4096;

/// What a transaction did to printers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// What this one says of itself.
    One(AccountId, PrinterId),
    /// Which there are, what they are called, or what is set for them.
    Any(AccountId),
}

impl Moved {
    /// What this event says of printers.
    pub(super) fn by(account: AccountId, event: &NewEvent) -> Option<Self> {
        match (event.kind, event.printer) {
            ("printer.state", Some(printer)) => Some(Self::One(account, printer)),
            ("agent.revoked" | "agent.renamed", _) => Some(Self::Any(account)),
            (kind, _) => kind.starts_with("printer.").then_some(Self::Any(account)),
        }
    }
}

/// Which answers to "whom do you mean?" still hold.
#[derive(Debug, Default)]
pub(super) struct Addressed(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Grows with every change: what was read before it is not remembered.
    version: u64,
    rows: HashMap<AccountId, HashMap<String, Vec<PrinterRow>>>,
    count: usize,
}

impl Addressed {
    /// The printers that are meant, or the version to give to [`Addressed::remember`] with what a query begun now finds.
    pub(super) fn get(&self, account: AccountId, wanted: &str) -> Result<Vec<PrinterRow>, u64> {
        let inner = self.lock();
        inner.rows.get(&account).and_then(|rows| rows.get(wanted)).cloned().ok_or(inner.version)
    }

    /// Keeps what a query found, unless something has changed since it began.
    pub(super) fn remember(&self, version: u64, account: AccountId, wanted: &str, found: &[PrinterRow]) {
        let mut inner = self.lock();
        // What does not exist is not kept: anybody could fill the memory with names.
        if inner.version != version || found.is_empty() {
            return;
        }
        if inner.count >= MOST {
            inner.rows.clear();
            inner.count = 0;
        }
        let before = inner.rows.entry(account).or_default().insert(wanted.to_owned(), found.to_vec());
        inner.count += usize::from(before.is_none());
    }

    /// Forgets what is not true any more; called after the commit, before it is answered.
    pub(super) fn forget(&self, moved: &[Moved]) {
        if moved.is_empty() {
            return;
        }
        let mut inner = self.lock();
        inner.version += 1;
        for what in moved {
            let gone = match *what {
                Moved::Any(account) => inner.rows.remove(&account).map_or(0, |rows| rows.len()),
                Moved::One(account, printer) => inner.rows.get_mut(&account).map_or(0, |rows| {
                    let before = rows.len();
                    rows.retain(|_, found| found.iter().all(|row| row.id != printer));
                    before - rows.len()
                }),
            };
            inner.count -= gone;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use inkwire_protocol::ids::AgentId;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::store::fixtures::{account_id, printer_info};

    fn row(n: u128) -> PrinterRow {
        PrinterRow {
            id: PrinterId::from_uuid(Uuid::from_u128(n)),
            account: account_id(1),
            agent: AgentId::from_uuid(Uuid::from_u128(9)),
            agent_name: "pc".into(),
            name: format!("printer{n}"),
            info: printer_info(1, "printer"),
            present: true,
            queued_jobs: 0,
            settings: inkwire_protocol::app::PrinterSettings::default(),
        }
    }

    fn version(addressed: &Addressed, wanted: &str) -> u64 {
        addressed.get(account_id(1), wanted).expect_err("it is remembered")
    }

    #[test]
    fn what_was_found_is_remembered_until_it_changes() {
        let addressed = Addressed::default();
        let (one, two) = (row(1), row(2));
        for row in [&one, &two] {
            addressed.remember(
                version(&addressed, &row.name),
                account_id(1),
                &row.name,
                std::slice::from_ref(row),
            );
            assert_eq!(addressed.get(account_id(1), &row.name), Ok(vec![row.clone()]));
        }
        assert!(addressed.get(account_id(2), "printer1").is_err(), "another account's printer");
        addressed.forget(&[Moved::One(account_id(1), one.id)]);
        let begun = version(&addressed, "printer1");
        assert!(addressed.get(account_id(1), "printer2").is_ok());
        addressed.forget(&[Moved::Any(account_id(1))]);
        assert!(addressed.get(account_id(1), "printer2").is_err());
        addressed.remember(begun, account_id(1), "printer1", &[one]);
        version(&addressed, "printer1");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let addressed = Addressed::default();
        for n in 0..=MOST {
            let name = n.to_string();
            addressed.remember(version(&addressed, &name), account_id(1), &name, &[row(1)]);
        }
        assert_eq!(addressed.lock().count, 1);
        addressed.remember(0, account_id(1), "nobody", &[]);
        version(&addressed, "nobody");
    }

    #[test]
    fn only_what_may_change_the_answer_is_a_change() {
        let printer = Some(PrinterId::from_uuid(Uuid::from_u128(1)));
        let moved = |kind, printer| {
            let event = NewEvent { at_ms: 0, kind, job: None, agent: None, printer, data: Value::Null };
            Moved::by(account_id(1), &event)
        };
        assert!(matches!(moved("printer.state", printer), Some(Moved::One(..))));
        for kind in ["printer.added", "printer.removed", "printer.updated", "agent.revoked", "agent.renamed"]
        {
            assert_eq!(moved(kind, printer), Some(Moved::Any(account_id(1))), "{kind}");
        }
        assert_eq!((moved("job.sending", printer), moved("agent.online", None)), (None, None));
    }
}
