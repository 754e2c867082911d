//! The Inkwire broker: accepts documents from apps, and pushes them to the printers of agents behind NAT.
//!
//! ```text
//!                      app (starts, supervises, drains)
//!                                  │
//!   listen ── TLS, HTTP ──▶ api ──▶ jobs ──▶ store ◀── auth
//!      └── dials ──▶ sessions ── SessionEvent ──▶ jobs
//!                          ▲── SessionCommand ───┘
//! ```
//!
//! [`Broker::start`] is all that a program needs; [`RawConfig`] is what people write.

mod addresses;
mod admin;
mod api;
mod app;
mod auth;
mod care;
mod certs;
mod clock;
mod config;
mod documents;
mod feed;
mod first_start;
mod jobs;
mod limits;
mod listen;
mod metrics;
mod outbound;
mod pairing;
mod sessions;
mod store;
mod webhooks;

pub use api::{ApiMethod, api_methods};
pub use app::{Broker, RunError, StartError};
pub use care::{
    Backup, BackupError, CheckError, RestoreError, Restored, UnusableFile, backup, check, restore,
};
pub use config::{
    Config, ConfigError, DEFAULT_LISTEN, OneOrMany, ProxyHeader, RawApi, RawConfig, RawIssuer, RawLimits,
    RawMetrics, RawOutbound, RawProxies, RawRetention, RawTls,
};

/// The broker's version, as agents and apps are told it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
