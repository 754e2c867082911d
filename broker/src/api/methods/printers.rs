//! `printers.*`: what the printers are, and what the account sets for them.

use std::collections::HashMap;

use inkwire_protocol::app::{
    AgentStatus, Job, Printer, PrinterRef, PrinterUpdate, Printers, Problem, ProblemKind, method,
};
use inkwire_protocol::ids::PrinterId;

use super::{check_name, commit, not_found};
use crate::api::present;
use crate::api::table::{Context, Nothing};
use crate::auth::internal;
use crate::clock::now_ms;
use crate::jobs::check_printer_update;
use crate::store::{Change, PrinterRow};

pub(in crate::api) async fn list(context: Context, _: Nothing) -> Result<Printers, Problem> {
    let (store, account) = (&context.api.store, context.caller.account);
    let registry = &context.api.sessions.registry;
    let agents = store.agents(account).await.map_err(internal)?;
    let statuses: HashMap<_, _> =
        agents.iter().map(|row| (row.id, present::status(row, registry.of(row.id).as_ref()))).collect();
    let rows = store.printers(account).await.map_err(internal)?;
    let printers = rows
        .into_iter()
        .map(|row| {
            let status = statuses.get(&row.agent).copied().unwrap_or(AgentStatus::Offline);
            present::printer(row, status)
        })
        .collect();
    Ok(Printers { printers })
}

pub(in crate::api) async fn get(context: Context, params: PrinterRef) -> Result<Printer, Problem> {
    let row = find(&context, params.printer).await?;
    let agent = context.api.store.agent(context.caller.account, row.agent).await.map_err(internal)?;
    let registry = &context.api.sessions.registry;
    let status =
        agent.map_or(AgentStatus::Offline, |agent| present::status(&agent, registry.of(agent.id).as_ref()));
    Ok(present::printer(row, status))
}

pub(in crate::api) async fn update(context: Context, params: PrinterUpdate) -> Result<Printer, Problem> {
    if let Some(name) = &params.name {
        check_name(name)?;
    }
    let (account, printer) = (context.caller.account, params.printer);
    let row = find(&context, printer).await?;
    check_printer_update(&params, &row.info)?;
    let detail = serde_json::to_value(&params).unwrap_or_default();
    let audit = context.audit(method::PRINTERS_UPDATE, format!("printer:{printer}"), detail);
    let change = Change::UpdatePrinter { account, update: Box::new(params), at_ms: now_ms() };
    commit(&context, vec![change, audit], printer).await?;
    context.api.jobs.printers_changed(row.agent).await;
    get(context, PrinterRef { printer }).await
}

pub(in crate::api) async fn test_page(context: Context, params: PrinterRef) -> Result<Job, Problem> {
    if context.api.closing.is_cancelled() {
        return Err(ProblemKind::Draining.because("the broker is restarting: ask again in some seconds"));
    }
    let row = find(&context, params.printer).await?;
    context.api.jobs.test_page(context.submitter().await?, row).await
}

async fn find(context: &Context, printer: PrinterId) -> Result<PrinterRow, Problem> {
    let row = context.api.store.printer(context.caller.account, printer).await.map_err(internal)?;
    row.ok_or_else(|| not_found("printer", printer))
}
