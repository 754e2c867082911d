//! How much a receiver grants: twice what the path and the disk can move in one round trip, within bounds.

use std::time::Duration;

use super::Layout;
use crate::limits::{MAX_CONNECTION_WINDOW_BYTES, MAX_WINDOW_BYTES, START_WINDOW_BYTES};

/// What each of `open` transfers of a connection may have on its way, so that all together stay within the connection's bound.
/// With [`crate::limits::MAX_OPEN_TRANSFERS`] open it is what a sender takes without asking.
pub const fn fair_share(open: usize) -> u64 {
    let open = if open == 0 { 1 } else { open as u64 };
    MAX_CONNECTION_WINDOW_BYTES / open
}

/// The size of a transfer's window, from what was measured so far.
#[derive(Debug, Clone)]
pub struct Window {
    bytes: u64,
    /// Bytes a second, smoothed over about eight acks.
    rate: Option<f64>,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: START_WINDOW_BYTES, rate: None }
    }
}

impl Window {
    /// `bytes` became durable within `busy` (time in which data was waiting or arriving); the path takes `rtt`, the disk `sync`.
    pub fn on_synced(&mut self, bytes: u64, busy: Duration, rtt: Duration, sync: Duration) {
        let now = bytes as f64 / busy.as_secs_f64().max(0.000_1);
        let rate = self.rate.map_or(now, |rate| rate + (now - rate) / 8.0);
        self.rate = Some(rate);
        let wanted = 2.0 * rate * (rtt + sync).as_secs_f64();
        self.bytes = (wanted as u64).clamp(START_WINDOW_BYTES, MAX_WINDOW_BYTES);
    }

    /// The window in packets, at least one; `share` is this transfer's part of the connection's bound ([`fair_share`]).
    pub fn packets(&self, layout: Layout, share: u64) -> u32 {
        layout.packets_in(self.bytes.min(share))
    }

    /// The window in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{INITIAL_CREDIT_BYTES, MAX_OPEN_TRANSFERS};

    #[test]
    fn all_windows_together_stay_within_the_connections_bound() {
        let layout = Layout::new(u64::MAX / 1024 / 1024, 16_320).unwrap();
        let mut window = Window::default();
        window.on_synced(1 << 40, Duration::from_secs(1), Duration::from_secs(1), Duration::ZERO);
        for open in 0..=MAX_OPEN_TRANSFERS {
            let each = u64::from(window.packets(layout, fair_share(open))) * 16_320;
            assert!(each <= MAX_WINDOW_BYTES && each * open as u64 <= MAX_CONNECTION_WINDOW_BYTES, "{open}");
        }
        assert_eq!(fair_share(MAX_OPEN_TRANSFERS), INITIAL_CREDIT_BYTES);
    }

    #[test]
    fn it_grows_with_the_path_and_stays_within_its_bounds() {
        let mut window = Window::default();
        let ms = Duration::from_millis;
        for _ in 0..100 {
            window.on_synced(1_000_000, ms(1000), ms(200), ms(5));
        }
        assert_eq!(window.bytes(), START_WINDOW_BYTES);
        for _ in 0..100 {
            window.on_synced(1_000_000, ms(100), ms(150), ms(5));
        }
        assert!((3_000_000..=3_200_000).contains(&window.bytes()), "{}", window.bytes());
        for _ in 0..100 {
            window.on_synced(1_000_000, ms(1), ms(200), ms(5));
        }
        assert_eq!(window.bytes(), MAX_WINDOW_BYTES);
    }
}
