//! Sessions begin and end.

use inkwire_protocol::ids::{AccountId, AgentId, Epoch, StoreEpoch};
use inkwire_protocol::session::clone::{Instances, Seen};
use inkwire_protocol::session::reconcile::{SpoolMark, compare_spool, store_was_restored};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::super::writer::Pending;
use super::super::{incarnation, map};
use super::{Fail, agents, events};
use crate::limits::SESSIONS_KEPT;
use crate::store::{AgentRow, BeginSession, Begun, NewEvent, Outcome, Started};

/// Applies every rule on a session's beginning, in one change.
pub(super) fn begin(db: &Connection, begin: &BeginSession, pending: &mut Pending) -> Result<Outcome, Fail> {
    let begun = |begun| Ok(Outcome::Begun(begun));
    let Some(before) = agents::find(db, begin.agent)? else { return begun(Begun::Revoked) };
    if before.revoked_ms.is_some() {
        return begun(Begun::Revoked);
    }
    if begin.dial_n <= before.dial_n {
        return begun(Begun::Replayed);
    }
    let mut instances = before.instances.clone();
    match instances.see(begin.instance) {
        Seen::First | Seen::Same | Seen::Restarted if !before.clone => {}
        Seen::First | Seen::Same | Seen::Restarted | Seen::Clone { .. } => {
            quarantine(db, &before, begin, pending)?;
            return begun(Begun::Clone);
        }
    }
    let mut log = Vec::new();
    // Whatever became of the spool: the count was given and signed by this broker, so a larger one is of a later store. A spool
    // that looks lost to an old store may be the newer one; its outcomes must be heard before anything is sent again.
    let signed = incarnation::signed(db, begin)?;
    let store_restored = store_was_restored(signed, begin.facts_acked, before.facts_acked);
    let store_epoch = if store_restored {
        if let Some(receipt) = begin.receipt {
            incarnation::heard_of(db, receipt.store_epoch())?;
        }
        let epoch = incarnation::renew(db)?;
        pending.store_epoch = Some(epoch);
        tracing::warn!(agent = %begin.agent, "an agent remembers more than this store: it was restored from a backup");
        log.push(agents::event(begin.at_ms, "store.restored", begin.agent, Value::Null));
        epoch
    } else {
        incarnation::current(db)?
    };
    let known = before.spool.map(|spool| SpoolMark { spool, ledger_seq: before.ledger_seq });
    let now = SpoolMark { spool: begin.spool, ledger_seq: begin.ledger_seq };
    let spool_lost = before.spool_lost || compare_spool(known, now).is_lost();
    let epoch = before.epoch.next();
    let facts_acked = if signed.is_some() { begin.facts_acked } else { 0 };
    write(db, &before, begin, &instances, (epoch, facts_acked, spool_lost))?;
    remember(db, &before, begin, epoch)?;
    // Where the last session was not seen to end, nobody knows how long the agent was away.
    let last_seen = if before.online { None } else { before.last_seen_ms };
    let absent_ms = last_seen.map(|at_ms| begin.at_ms.saturating_sub(at_ms));
    log.push(online(begin, epoch));
    if before.observed_endpoint != Some(begin.observed_endpoint) {
        log.push(endpoint_change(db, &before, begin, epoch)?);
    }
    if spool_lost && !before.spool_lost {
        log.push(agents::event(begin.at_ms, "agent.spool-lost", begin.agent, Value::Null));
    }
    events::log(db, before.account, &log, pending)?;
    agents::upsert(db, before.account, begin.agent, &begin.printers, begin.at_ms, pending)?;
    let agent = agents::find(db, begin.agent)?.unwrap_or_else(|| before.clone());
    begun(Begun::Started(Box::new(Started {
        resumed: begin.presented.is_some() && begin.presented == before.token,
        // The ledger has not been repeated for this incarnation of the store.
        reconciling: before.reconciled != Some(store_epoch),
        store_restored,
        unproven: signed.is_none() && begin.facts_acked > before.facts_acked,
        restored_jobs: incarnation::jobs_before(db, before.account)?,
        moved: before.observed_endpoint.is_some_and(|endpoint| endpoint != begin.observed_endpoint),
        agent,
        store_epoch,
        spool_lost,
        absent_ms,
    })))
}

fn quarantine(
    db: &Connection,
    before: &AgentRow,
    begin: &BeginSession,
    pending: &mut Pending,
) -> Result<(), Fail> {
    db.prepare_cached("UPDATE agents SET clone = 1, dial_n = ?2, token = NULL, online = 0 WHERE id = ?1")?
        .execute(params![before.id.uuid(), begin.dial_n])?;
    if !before.clone {
        let data = json!({ "hostname": begin.hostname, "endpoint": begin.observed_endpoint, "other": before.observed_endpoint });
        events::log(
            db,
            before.account,
            &[agents::event(begin.at_ms, "agent.clone", before.id, data)],
            pending,
        )?;
    }
    Ok(())
}

fn write(
    db: &Connection,
    before: &AgentRow,
    begin: &BeginSession,
    instances: &Instances,
    (epoch, facts_acked, spool_lost): (Epoch, u64, bool),
) -> Result<(), Fail> {
    let instances = map::json(instances)?;
    db.prepare_cached(
        "UPDATE agents SET dial_n = ?2, epoch = ?3, token = ?4, instances = ?5, spool = ?6, ledger_seq = ?7,
             facts_acked = max(facts_acked, ?8), spool_lost = ?9, hostname = ?10, os = ?11, version = ?12,
             observed_endpoint = ?13, local_endpoint = ?14, online = 1, connected_ms = ?15, last_seen_ms = ?15
         WHERE id = ?1",
    )?
    .execute(params![
        before.id.uuid(),
        begin.dial_n,
        epoch.0,
        begin.token.as_bytes(),
        instances,
        begin.spool.uuid(),
        begin.ledger_seq,
        facts_acked,
        spool_lost,
        begin.hostname,
        begin.os,
        begin.version,
        begin.observed_endpoint.to_string(),
        begin.local_endpoint.map(|endpoint| endpoint.to_string()),
        begin.at_ms,
    ])?;
    Ok(())
}

/// Keeps the session in the agent's history, which is bounded.
fn remember(db: &Connection, before: &AgentRow, begin: &BeginSession, epoch: Epoch) -> Result<(), Fail> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO agent_sessions
             (agent, epoch, account, began_ms, observed_endpoint, local_endpoint, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        before.id.uuid(),
        epoch.0,
        before.account.uuid(),
        begin.at_ms,
        begin.observed_endpoint.to_string(),
        begin.local_endpoint.map(|endpoint| endpoint.to_string()),
        begin.version,
    ])?;
    let oldest = epoch.0.saturating_sub(SESSIONS_KEPT);
    for table in ["agent_sessions", "endpoint_changes"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE agent = ?1 AND epoch <= ?2"))?
            .execute(params![before.id.uuid(), oldest])?;
    }
    Ok(())
}

fn online(begin: &BeginSession, epoch: Epoch) -> NewEvent {
    let data = json!({ "epoch": epoch, "endpoint": begin.observed_endpoint, "version": begin.version });
    agents::event(begin.at_ms, "agent.online", begin.agent, data)
}

fn endpoint_change(
    db: &Connection,
    before: &AgentRow,
    begin: &BeginSession,
    epoch: Epoch,
) -> Result<NewEvent, Fail> {
    db.prepare_cached(
        "INSERT INTO endpoint_changes (agent, epoch, account, at_ms, from_endpoint, to_endpoint)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        before.id.uuid(),
        epoch.0,
        before.account.uuid(),
        begin.at_ms,
        before.observed_endpoint.map(|endpoint| endpoint.to_string()),
        begin.observed_endpoint.to_string(),
    ])?;
    let data = json!({ "from": before.observed_endpoint, "to": begin.observed_endpoint, "epoch": epoch });
    Ok(agents::event(begin.at_ms, "agent.endpoint", begin.agent, data))
}

pub(super) fn end(
    db: &Connection,
    account: AccountId,
    agent: AgentId,
    epoch: Epoch,
    at_ms: u64,
    reason: &str,
    pending: &mut Pending,
) -> Result<Outcome, Fail> {
    db.prepare_cached(
        "UPDATE agent_sessions SET ended_ms = ?3, end_reason = ?4
         WHERE agent = ?1 AND epoch = ?2 AND ended_ms IS NULL AND account = ?5",
    )?
    .execute(params![agent.uuid(), epoch.0, at_ms, reason, account.uuid()])?;
    let ended = db
        .prepare_cached(
            "UPDATE agents SET online = 0, last_seen_ms = ?4
             WHERE id = ?1 AND account = ?2 AND epoch = ?3 AND online = 1",
        )?
        .execute(params![agent.uuid(), account.uuid(), epoch.0, at_ms])?;
    if ended > 0 {
        let data = json!({ "epoch": epoch, "reason": reason });
        events::log(db, account, &[agents::event(at_ms, "agent.offline", agent, data)], pending)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn reconciled(db: &Connection, agent: AgentId, store_epoch: StoreEpoch) -> Result<Outcome, Fail> {
    // An answer to an incarnation that is over by now does not count.
    if store_epoch == incarnation::current(db)? {
        db.prepare_cached("UPDATE agents SET reconciled = ?2 WHERE id = ?1")?
            .execute(params![agent.uuid(), store_epoch.uuid()])?;
    }
    Ok(Outcome::Done)
}

pub(super) fn spool_loss_handled(db: &Connection, agent: AgentId, epoch: Epoch) -> Result<Outcome, Fail> {
    db.prepare_cached("UPDATE agents SET spool_lost = 0 WHERE id = ?1 AND epoch = ?2")?
        .execute(params![agent.uuid(), epoch.0])?;
    Ok(Outcome::Done)
}
