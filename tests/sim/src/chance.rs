//! All chance of a run, from one seed.

use std::cell::Cell;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use uuid::Uuid;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
    static IDS: Cell<u64> = const { Cell::new(0) };
}

/// Begins a run.
pub(crate) fn seed(seed: u64) {
    STATE.set(seed);
    IDS.set(0);
}

/// SplitMix64: every value is as good as the one before, and a run is told by its seed alone.
pub(crate) fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    mix(state)
}

/// A value that depends on its inputs alone.
pub(crate) const fn mix(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Below `end`; 0 where that is 0.
pub(crate) fn below(end: u64) -> u64 {
    if end == 0 { 0 } else { next() % end }
}

/// One in so many times.
pub(crate) fn one_in(times: u64) -> bool {
    below(times) == 0
}

/// 0 to 1.
pub(crate) fn random() -> f64 {
    (next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// For those who want a generator.
pub(crate) fn rng() -> SmallRng {
    SmallRng::seed_from_u64(next())
}

/// An id: they rise, like version 7.
pub(crate) fn uuid() -> Uuid {
    IDS.set(IDS.get() + 1);
    Uuid::from_u64_pair(IDS.get(), next() | (1 << 63))
}
