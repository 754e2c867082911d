//! The app API in types: what JSON-RPC methods take and give on the WebSocket, and the same over REST.
//!
//! Broker and client share them, so that neither can drift. Times are Unix milliseconds; sizes are bytes. Fields may be
//! added; a client ignores what it does not know, a broker refuses what it does not know.

mod agents;
mod audit;
mod documents;
mod enrolments;
mod events;
mod jobs;
mod keys;
mod limits;
pub mod method;
mod printers;
mod rpc;
mod session;
mod stats;
mod users;
mod webhooks;

pub use agents::*;
pub use audit::*;
pub use documents::*;
pub use enrolments::*;
pub use events::*;
pub use jobs::*;
pub use keys::*;
pub use limits::*;
pub use printers::*;
pub use rpc::*;
pub use session::*;
pub use stats::*;
pub use users::*;
pub use webhooks::*;
