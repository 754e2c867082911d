//! Who may do what: pure rules for keys, passwords, tokens and limits, and the look-up of who stands behind one.
//!
//! ```text
//!  Authorization: Bearer ─┬─ ik_...  key ───────┐
//!                         ├─ JWT of ours ───────┤
//!                         └─ JWT of an issuer ──┼─▶ gate ─▶ Caller {account, principal, scope}
//!  cookie ────────────────── il_...  sign-in ───┤             judged anew when something it stands on is revoked
//!  first message ─────────── it_...  ticket ────┘
//! ```

mod caller;
pub(crate) mod dial;
pub(crate) mod gate;
pub(crate) mod issuers;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod logins;
pub(crate) mod origin;
pub(crate) mod passwords;
mod places;
pub(crate) mod quotas;
pub(crate) mod rates;
mod tickets;
pub(crate) mod tokens;

use inkwire_protocol::app::{Problem, ProblemKind};

pub(crate) use caller::{Caller, Cap, Principal, Revoked};
pub(crate) use gate::Auth;
pub(crate) use places::Place;

/// A failed read, as the caller sees it; the cause is logged here.
#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(crate) fn internal(error: crate::store::ReadError) -> Problem {
    tracing::error!(%error, "the store could not be read");
    ProblemKind::Internal.because("the store could not be read: see the broker's log")
}
