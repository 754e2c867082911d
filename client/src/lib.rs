//! The Rust client of Inkwire's app API.
//!
//! One [`Client`] is one WebSocket to the broker that comes back by itself. Calls that are safe to repeat are repeated
//! after a reconnect, others fail with an error that says so; an upload goes on at the packet where it stopped;
//! [events](Client::events) go on at the offset where they stopped, on a connection of their own.
//!
//! ```text
//!  Client ──commands──▶ link task ──▶ TLS WebSocket /v1/app ──▶ broker
//!    │ submit(): reads, hashes, ──packets──▶ window of protocol::transfer::Sender
//!    └ events() ──▶ EventStream ◀── its own link task
//! ```
//!
//! ```no_run
//! use inkwire_client::{Client, Document, new_job};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("https://broker.example:7300/#sha256=...".parse()?, "ik_...").await?;
//! let job = client.submit(new_job("office", "application/pdf"), Document::open("invoice.pdf").await?).await?;
//! println!("job {} is {}", job.number, job.state);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod backoff;
mod client;
mod document;
mod error;
mod events;
mod limits;
mod link;
mod manage;
mod sign_in;
mod submit;

pub use client::{ApiKey, Client, Options, new_job};
pub use document::Document;
pub use error::Error;
pub use events::{EventItem, EventStream};
pub use inkwire_protocol as protocol;
pub use inkwire_transport::BrokerUrl;
pub use sign_in::sign_in;
pub use submit::UploadProgress;
