//! `audit.list`.

use inkwire_protocol::app::{Audit, AuditList, Problem, ProblemKind};

use super::page;
use crate::api::table::Context;
use crate::auth::internal;

/// Longest filter: a method's name, or a kind and an id.
const MAX_FILTER_BYTES: usize = 300;

pub(in crate::api) async fn list(context: Context, params: AuditList) -> Result<Audit, Problem> {
    let limit = page(params.limit)?;
    for (name, filter) in [("action", &params.action), ("who", &params.who)] {
        if filter.as_ref().is_some_and(|text| text.len() > MAX_FILTER_BYTES) {
            let detail = format!("{name} has at most {MAX_FILTER_BYTES} bytes");
            return Err(ProblemKind::InvalidParams.because(detail).at(format!("/{name}")));
        }
    }
    let filter = AuditList { limit: Some(limit), ..params };
    let entries = context.api.store.audit(context.caller.account, &filter).await.map_err(internal)?;
    let next = if entries.len() == limit as usize { entries.last().map(|entry| entry.seq) } else { None };
    Ok(Audit { entries, next })
}
