//! `tokio` as the rooms see it: tasks belong to their process, and `select!` looks at its branches in order, for its own order is
//! chance that no seed can tell.

pub(crate) use ::tokio::*;

pub(crate) use crate::rt::spawn;
pub(crate) use crate::select;

pub(crate) mod task {
    pub(crate) use crate::rt::{JoinSet, spawn_blocking};
}

/// `tokio::select!`, in order.
#[macro_export]
#[doc(hidden)]
macro_rules! select {
    (biased; $($branches:tt)*) => { ::tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { ::tokio::select! { biased; $($branches)* } };
}
