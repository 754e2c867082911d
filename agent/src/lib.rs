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

pub mod config;
pub mod limits;
pub mod printers;

pub use config::{Config, ConfigError, RawConfig};
