//! `me` and `ping`.

use inkwire_protocol::app::{Me, Problem};
use serde::Serialize;

use crate::api::table::{Context, Nothing};

pub(in crate::api) async fn me(context: Context, _: Nothing) -> Result<Me, Problem> {
    Ok(context.caller.me())
}

/// An empty object.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(in crate::api) struct Pong {}

pub(in crate::api) async fn ping(_: Context, _: Nothing) -> Result<Pong, Problem> {
    Ok(Pong {})
}
