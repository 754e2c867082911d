//! `stats.summary`: the last day in numbers, and what waits for a human.

use std::collections::HashSet;

use inkwire_protocol::app::{Counts, HourStats, NeedsAHuman, Problem, Stats};
use inkwire_protocol::ids::{AgentId, PrinterId};
use inkwire_protocol::printer::PrinterState;

use crate::api::table::{Context, Nothing};
use crate::auth::internal;
use crate::clock::now_ms;
use crate::store::{AgentRow, PrinterRow};

const HOUR_MS: u64 = 3_600_000;
const HOURS: u64 = 24;
/// Printers in the summary.
const PRINTERS: u32 = 10;
/// An agent is gone for longer than usual after twice its longest absence of late ...
const USUAL_TIMES: u64 = 2;
/// ... but not before this: a PC restarts ...
const GONE_AT_LEAST_MS: u64 = 10 * 60 * 1000;
/// ... and after this in any case, though it was gone for a holiday once.
const GONE_AT_MOST_MS: u64 = 3 * 24 * HOUR_MS;

pub(in crate::api) async fn summary(context: Context, _: Nothing) -> Result<Stats, Problem> {
    let (store, account, now) = (&context.api.store, context.caller.account, now_ms());
    let last = now / HOUR_MS;
    let first = last.saturating_sub(HOURS - 1);
    let counted = store.job_counts(account, first, PRINTERS).await.map_err(internal)?;
    let agents = store.agents(account).await.map_err(internal)?;
    let printers = store.printers(account).await.map_err(internal)?;
    let absences = store.absences(account, context.api.started_ms).await.map_err(internal)?;
    let registry = &context.api.sessions.registry;
    let live: HashSet<AgentId> =
        agents.iter().map(|row| row.id).filter(|id| registry.of(*id).is_some()).collect();
    Ok(Stats {
        total: counted.hours.iter().fold(Counts::default(), |sum, (_, counts)| add(sum, counts)),
        hours: by_hour(first, last, &counted.hours),
        printers: counted.printers,
        needs_a_human: NeedsAHuman {
            uncertain_jobs: counted.uncertain,
            held_jobs: counted.held,
            stopped_jobs: counted.stopped,
            stopped_printers: stopped(&printers, &live),
            missing_agents: missing(&absences, &live, now),
            cloned_agents: cloned(&agents),
        },
    })
}

/// Every hour of the day, also those in which nothing happened.
fn by_hour(first: u64, last: u64, counted: &[(u64, Counts)]) -> Vec<HourStats> {
    let of = |hour: u64| counted.iter().find(|(at, _)| *at == hour).map(|(_, counts)| *counts);
    (first..=last)
        .map(|hour| HourStats { from_ms: hour * HOUR_MS, counts: of(hour).unwrap_or_default() })
        .collect()
}

const fn add(a: Counts, b: &Counts) -> Counts {
    Counts {
        accepted: a.accepted + b.accepted,
        bytes: a.bytes + b.bytes,
        completed: a.completed + b.completed,
        aborted: a.aborted + b.aborted,
        canceled: a.canceled + b.canceled,
        expired: a.expired + b.expired,
        uncertain: a.uncertain + b.uncertain,
    }
}

fn stopped(printers: &[PrinterRow], live: &HashSet<AgentId>) -> Vec<PrinterId> {
    let stands = |row: &&PrinterRow| {
        let state = matches!(row.info.state, PrinterState::Stopped | PrinterState::Unreachable);
        state && row.present && live.contains(&row.agent)
    };
    printers.iter().filter(stands).map(|row| row.id).collect()
}

/// Agents that have been gone for longer than they usually are.
fn missing(absences: &[(AgentId, u64, Option<u64>)], live: &HashSet<AgentId>, now_ms: u64) -> Vec<AgentId> {
    let is_missing = |since_ms: u64, longest_ms: Option<u64>| {
        let usual = longest_ms.unwrap_or(0).saturating_mul(USUAL_TIMES);
        now_ms.saturating_sub(since_ms) > usual.clamp(GONE_AT_LEAST_MS, GONE_AT_MOST_MS)
    };
    let gone = absences
        .iter()
        .filter(|(agent, since, longest)| !live.contains(agent) && is_missing(*since, *longest));
    gone.map(|(agent, ..)| *agent).collect()
}

fn cloned(agents: &[AgentRow]) -> Vec<AgentId> {
    agents.iter().filter(|row| row.clone && row.revoked_ms.is_none()).map(|row| row.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_agent_is_missed_by_its_own_habits() {
        let agent = |n| AgentId::from_uuid(Uuid::from_u128(n));
        let now = 10 * 24 * HOUR_MS;
        let ago = |minutes: u64| now - minutes * 60_000;
        let absences = [
            (agent(1), ago(9), None),
            (agent(2), ago(11), None),
            (agent(3), ago(15 * 60), Some(14 * HOUR_MS)),
            (agent(4), ago(29 * 60), Some(14 * HOUR_MS)),
            (agent(5), ago(4 * 24 * 60), Some(6 * 24 * HOUR_MS)),
            (agent(6), ago(9999), None),
        ];
        let live = HashSet::from([agent(6)]);
        assert_eq!(missing(&absences, &live, now), [agent(2), agent(4), agent(5)]);
    }

    #[test]
    fn hours_without_a_job_are_shown_too() {
        let counts = Counts { accepted: 2, ..Counts::default() };
        let hours = by_hour(10, 33, &[(12, counts)]);
        assert_eq!((hours.len(), hours[0].from_ms, hours[2].counts), (24, 10 * HOUR_MS, counts));
        assert_eq!(hours[3].counts, Counts::default());
    }
}
