//! Which rule is broken on purpose.

use std::cell::Cell;

include!("../mutants.rs");

thread_local! {
    static ON: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Every rule that can be broken: its name, and what that breaks.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    MUTANTS.iter().map(|[name, what, ..]| (*name, *what))
}

/// From now on this rule is broken on this thread, or none.
pub(crate) fn choose(mutant: Option<&str>) {
    ON.set(mutant.and_then(|wanted| all().map(|(name, _)| name).find(|name| *name == wanted)));
}

/// Whether this rule is broken.
pub(crate) fn on(name: &str) -> bool {
    ON.get() == Some(name)
}

/// The place in the outbox after which facts are told: all of them, unless they are not repeated.
pub(crate) fn told() -> i64 {
    if !on("fact-not-repeated") {
        return 0;
    }
    let Some(db) = crate::rt::process().and_then(|process| process.disk.look("ledger.sqlite3")) else {
        return 0;
    };
    db.query_row("SELECT coalesce(max(id), 0) FROM facts", [], |row| row.get(0)).unwrap_or(0)
}
