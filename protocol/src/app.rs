//! The app API in types: what JSON-RPC methods take and give on the WebSocket, and the same over REST.
//!
//! Broker and client share them, so that neither can drift. Times are Unix milliseconds; sizes are bytes. Fields may be
//! added; a client ignores what it does not know, a broker refuses what it does not know.

mod agents;
mod events;
mod jobs;
pub mod method;
mod rpc;
mod webhooks;

pub use agents::*;
pub use events::*;
pub use jobs::*;
pub use rpc::*;
pub use webhooks::*;
