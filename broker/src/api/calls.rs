//! How often each method was called.

use std::sync::atomic::{AtomicU64, Ordering};

use super::table::METHODS;

/// One count a method of the table, and one for what is not in it.
#[derive(Debug)]
pub(crate) struct Calls {
    known: Vec<(&'static str, AtomicU64)>,
    unknown: AtomicU64,
}

impl Default for Calls {
    fn default() -> Self {
        let known = METHODS.iter().map(|method| (method.name, AtomicU64::new(0))).collect();
        Self { known, unknown: AtomicU64::new(0) }
    }
}

impl Calls {
    /// One more call, by either door.
    pub(super) fn called(&self, name: &str) {
        let count = self.known.iter().find(|(known, _)| *known == name).map_or(&self.unknown, |(_, c)| c);
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Every method with its count; what strangers ask for is `unknown`, whatever they call it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = self.known.iter().map(|(name, count)| (*name, count));
        known.chain([("unknown", &self.unknown)]).map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
