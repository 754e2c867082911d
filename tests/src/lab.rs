//! Broker and agent as processes that can be killed and started again.

mod agent;
mod broker;
mod process;

pub use agent::{Agent, Printer};
pub use broker::{Broker, Ready};
pub use process::{Process, binary, rss_bytes, wait_until};
