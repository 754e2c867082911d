//! The rules of a session: is the other end alive, when to dial again, is this the same PC, the same spool and the
//! same store.
//!
//! ```text
//!  socket ── bytes, pongs ──▶ Liveness ──▶ SendProbe | SendReport | Dead ──▶ Dialler ──▶ dial now, at, or wait
//!  (the side that dialled)                                                     ▲
//!                                            close codes, refusals, failures ──┘
//!
//!  hello ──▶ clone::Instances ──▶ reconcile ──▶ welcome          socket ── bytes ──▶ Silence ──▶ mark, close
//!  (the broker)                                                  (the broker)
//! ```
//!
//! Nothing here reads a clock or draws a number: `now` and `random` are arguments.

pub mod clone;
pub mod dial;
pub mod fence;
pub mod liveness;
pub mod reconcile;
pub mod rtt;
pub mod silence;

/// A beginning for tests: an [`std::time::Instant`] cannot be made from a number.
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests' time begins anywhere and moves by hand")]
pub(crate) fn any_instant() -> std::time::Instant {
    std::time::Instant::now()
}
