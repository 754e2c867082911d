//! The one clock of the lab: tcpdump, broker and events all speak Unix time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds, with fractions.
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}
