//! The app API in types: what JSON-RPC methods take and give on the WebSocket, and the same over REST.
//!
//! Broker and client share them, so that neither can drift. Times are Unix milliseconds; sizes are bytes. Fields may be
//! added; a client ignores what it does not know, a broker refuses what it does not know.

mod agents;
mod documents;
mod events;
mod jobs;
pub mod method;
mod printers;
mod rpc;
mod stats;

pub use agents::*;
pub use documents::*;
pub use events::*;
pub use jobs::*;
pub use printers::*;
pub use rpc::*;
pub use stats::*;
