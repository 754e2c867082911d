//! `events.list` and `events.subscribe`.

use inkwire_protocol::app::{
    EventCursor, EventList, EventPage, EventPosition, Problem, ProblemKind, Subscribe, Subscribed,
};
use inkwire_protocol::ids::{EventOffset, StoreEpoch};

use crate::api::rpc::Pump;
use crate::api::table::Context;
use crate::auth::internal;
use crate::feed::{Filter, Joined, reaches};
use crate::limits::{MAX_PAGE_EVENTS, PAGE_EVENTS};
use crate::store::EventBounds;

pub(in crate::api) async fn subscribe(context: Context, params: Subscribe) -> Result<Subscribed, Problem> {
    let filter = Filter::from(&params).check()?;
    let connection = context.connection("a subscription")?.clone();
    let joined = context.api.feeds.join(context.caller.account, params.after, filter).await;
    let Joined { reader, resumed, bounds } = joined.map_err(internal)?;
    let from = reader.at();
    connection.subscribe(Pump::new(&context, reader, params.progress, params.job));
    Ok(Subscribed { from, resumed, oldest: bounds.oldest })
}

pub(in crate::api) async fn list(context: Context, params: EventList) -> Result<EventPage, Problem> {
    let limit = params.limit.unwrap_or(PAGE_EVENTS);
    if limit == 0 || limit > MAX_PAGE_EVENTS {
        let detail = format!("limit is {limit}; it must be 1 to {MAX_PAGE_EVENTS}");
        return Err(ProblemKind::InvalidParams.because(detail).at("/limit"));
    }
    let filter = Filter::from(&params).check()?;
    let (store, account) = (&context.api.store, context.caller.account);
    let epoch = store.store_epoch();
    let bounds = store.event_bounds(account).await.map_err(internal)?;
    let oldest = EventPosition { epoch, offset: EventOffset(bounds.oldest.0.saturating_sub(1)) };
    let after = params.after.map_or(oldest, |after| after.0);
    if !reaches(&bounds, after, epoch) {
        return Err(cannot_resume(after, &bounds, epoch));
    }
    let mut events = store.events_after(account, after.offset, limit + 1).await.map_err(internal)?;
    let more = events.len() > limit as usize;
    events.truncate(limit as usize);
    let through = events.last().map_or(after.offset, |event| event.offset);
    events.retain(|event| filter.passes(event));
    Ok(EventPage { events, next: EventCursor(EventPosition { epoch, offset: through }), more })
}

fn cannot_resume(after: EventPosition, bounds: &EventBounds, epoch: StoreEpoch) -> Problem {
    let newest = EventPosition { epoch, offset: bounds.newest };
    let detail = format!(
        "{after} is not in the log, whose oldest event is {epoch}:{}: read the state anew, then go on after {newest}",
        bounds.oldest
    );
    ProblemKind::CannotResume.because(detail).at("/after")
}
