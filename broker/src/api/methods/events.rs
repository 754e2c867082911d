//! `events.subscribe`.

use inkwire_protocol::app::{EventPosition, Problem, ProblemKind, Subscribe, Subscribed};
use inkwire_protocol::ids::EventOffset;

use crate::api::rpc::Pump;
use crate::api::table::Context;
use crate::auth::internal;

/// Longest list of kinds, and longest kind: a filter is looked at for every event.
const MAX_KINDS: usize = 32;
const MAX_KIND_BYTES: usize = 64;

pub(in crate::api) async fn subscribe(context: Context, params: Subscribe) -> Result<Subscribed, Problem> {
    if params.kinds.len() > MAX_KINDS || params.kinds.iter().any(|kind| kind.len() > MAX_KIND_BYTES) {
        let detail = format!("at most {MAX_KINDS} kinds of at most {MAX_KIND_BYTES} bytes");
        return Err(ProblemKind::InvalidParams.because(detail).at("/kinds"));
    }
    let connection = context.connection("a subscription")?.clone();
    // Woken from before the bounds are read, so that nothing falls between.
    let wakeups = context.api.store.wakeups();
    let epoch = context.api.store.store_epoch();
    let bounds = context.api.store.event_bounds(context.caller.account).await.map_err(internal)?;
    let resumable = |after: EventPosition| {
        after.epoch == epoch && after.offset.0 + 1 >= bounds.oldest.0 && after.offset <= bounds.newest
    };
    let resumed = params.after.is_none_or(resumable);
    let offset = match params.after {
        Some(after) if resumed => after.offset,
        Some(_) | None => bounds.newest,
    };
    let from = EventPosition { epoch, offset: EventOffset(offset.0) };
    connection.subscribe(Pump::new(&context, from, params, wakeups));
    Ok(Subscribed { from, resumed, oldest: bounds.oldest })
}
