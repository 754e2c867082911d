//! `me` and `ping`.

use inkwire_protocol::app::{Me, Problem};
use serde::Serialize;

use crate::api::table::{Context, Nothing};
use crate::auth::Caller;

pub(in crate::api) async fn me(context: Context, _: Nothing) -> Result<Me, Problem> {
    Ok(of(context.caller))
}

/// Who a caller is.
pub(in crate::api) fn of(caller: Caller) -> Me {
    Me {
        account: caller.account,
        account_name: caller.account_name,
        scope: caller.scope,
        key_name: caller.key_name,
    }
}

/// An empty object.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(in crate::api) struct Pong {}

pub(in crate::api) async fn ping(_: Context, _: Nothing) -> Result<Pong, Problem> {
    Ok(Pong {})
}
