//! What the agent tells of its own accord: facts until they are acknowledged, and how its printers are.

pub(crate) mod numbers;
pub(crate) mod outbox;
pub(crate) mod states;
