//! The Inkwire agent: takes documents from a broker over one outbound connection and gives them to printers, each once.
//!
//! ```text
//!          broker
//!            │ one TLS WebSocket, dialled from here
//!          link ──LinkEvent──▶ desk ──▶ spool (ledger + files) ──▶ print (one worker a printer) ──▶ printers
//!            ▲                  │                 │ facts                     │ intents, outcomes
//!            └───LinkCommand────┴──── report ◀────┴───────────────────────────┘
//! ```
//!
//! A packet is acknowledged when it is on stable storage; a printer gets its first byte when the intent is; what became of
//! a job is repeated until the broker has committed it. So a crash at any instant loses nothing and prints nothing twice.
//!
//! Reading order: [`config`], `identity` and [`pair`](mod@pair) (who), `spool` (what is durable), `link` (the connection), `desk`
//! (what comes in), `print` (what goes out), `report` (what is told), `agent` (the whole).

mod agent;
mod book;
mod check;
mod clock;
pub mod config;
mod desk;
mod identity;
pub mod limits;
mod link;
pub mod pair;
mod print;
pub mod printers;
mod report;
mod shared;
mod spool;
pub mod status;

pub use agent::{Agent, Extras, RunError, StartError};
pub use check::{CheckError, check};
pub use config::{Config, ConfigError, RawConfig};
pub use identity::IdentityError;
pub use pair::{PairError, PairRequest, Paired, PairingCode, pair};
pub use spool::LedgerError;
