//! Broker and agents in one thread, under virtual time, every choice drawn from one seed.
//!
//! ```text
//!  story (from a seed) ──▶ world ──▶ steps and faults
//!                            │
//!        broker's rooms ◀── wire ──▶ agent's rooms ──▶ devices (paper)
//!            │     disk, clock, chance: the simulation's    │
//!            └────────────▶ watch, judge: I1 to I8 ◀────────┘
//! ```
//!
//! The rooms are the product's own files (`build.rs` says which): store with its SQL, sessions, dispatcher; ledger with its SQL, spool, desk,
//! workers, connection. Only their doors to the world outside are turned. Not here: TLS and HTTP, uploads of apps, the back-ends.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a simulation that cannot go on must say so at once, and it asks of most states nothing"
)]

mod chance;
mod device;
mod disk;
mod log;
pub mod mutant;
mod rt;
mod shrink;
mod st;
mod story;
mod tk;
mod watch;
mod wire;
mod world;

include!(concat!(env!("OUT_DIR"), "/rooms.rs"));

pub use shrink::shrink;
pub use story::Story;
pub use world::Verdict;

/// Plays a story.
pub fn play(story: &Story) -> Verdict {
    world::play(story, false)
}

/// Plays a story with a rule broken on purpose.
pub fn play_broken(story: &Story, mutant: &str) -> Verdict {
    mutant::choose(Some(mutant));
    let verdict = world::play(story, false);
    mutant::choose(None);
    verdict
}

/// Plays a story and writes down what happens.
pub fn tell(story: &Story) -> Verdict {
    world::play(story, true)
}

/// The first seed within so many that tells of a rule that is broken on purpose, and the rule that it names.
pub fn finds(mutant: &str, seeds: u64) -> Option<(u64, &'static str)> {
    (1..=seeds).find_map(|seed| Some((seed, play_broken(&Story::of(seed), mutant).broken()?.0)))
}
