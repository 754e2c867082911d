//! Pages of jobs by keyset. Every filter but the text search drives an index that is in the order of the jobs' numbers; what further
//! filters hide between a page's rows is looked at up to a bound, and a page that stops there says where to go on.

use inkwire_protocol::app::JobList;
use inkwire_protocol::ids::AccountId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params, params_from_iter};
use serde::Deserialize;
use uuid::Uuid;

use super::map;
use crate::limits::{PAGE_JOBS, PAGE_LOOKS_AT};
use crate::store::JobPage;

/// Jobs that are made at once may be numbered in another order than they were created.
const OUT_OF_ORDER: u64 = 1000;

const COLUMNS: &str = "j.seq, j.number, j.state, j.printer, j.agent, j.created_ms, j.ended_ms, j.spec";

/// Whether older or newer jobs than the page before are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Older,
    Newer,
}

/// The numbers that may be on the page, without the bounds themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Between {
    low: u64,
    high: u64,
}

/// A page of the jobs that pass `filter`.
pub(super) fn page(db: &Connection, account: AccountId, filter: &JobList) -> Result<JobPage> {
    // One look at the store, whatever is written meanwhile.
    let snapshot = db.unchecked_transaction()?;
    let way = if filter.after.is_some() { Way::Newer } else { Way::Older };
    let limit = filter.limit.unwrap_or(PAGE_JOBS) as usize;
    let (sql, mut values) = query(filter, way);
    let between = between(&snapshot, account, filter)?;
    let bounds = [Value::from(account.uuid().as_bytes().to_vec()), number(between.low), number(between.high)];
    values.splice(0..0, bounds);
    let rest = Rest::of(filter);
    let (mut found, mut looked, mut go_on) = (Vec::new(), 0, None);
    {
        let mut statement = snapshot.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let at: u64 = row.get(1)?;
            if rest.passes(row)? {
                if found.len() == limit {
                    go_on = found.last().map(|(_, number)| *number);
                    break;
                }
                found.push((row.get::<_, i64>(0)?, at));
            }
            looked += 1;
            if looked == PAGE_LOOKS_AT {
                go_on = Some(at);
                break;
            }
        }
    }
    if way == Way::Newer {
        found.reverse();
    }
    let (newest, oldest) = (found.first().map(|at| at.1), found.last().map(|at| at.1));
    let mut page = JobPage::default();
    for (seq, _) in found {
        let one = snapshot.prepare_cached("SELECT * FROM jobs WHERE seq = ?1")?.query_row([seq], map::job);
        page.rows.extend(one.optional()?);
    }
    (page.next, page.previous) = match way {
        Way::Older => (go_on, filter.before.map(|before| newest.unwrap_or(before.saturating_sub(1)))),
        Way::Newer => (filter.after.map(|after| oldest.unwrap_or(after.saturating_add(1))), go_on),
    };
    Ok(page)
}

/// The query that drives the page; its first three values are account and bounds, those given here follow.
fn query(filter: &JobList, way: Way) -> (String, Vec<Value>) {
    let uuid = |id: Uuid| Value::from(id.as_bytes().to_vec());
    let bounds = "j.account = ?1 AND j.number > ?2 AND j.number < ?3";
    let from = |index: &str, more: &str| {
        format!("SELECT {COLUMNS} FROM jobs j INDEXED BY {index} WHERE {bounds} {more}")
    };
    let (sql, values) = if let Some(key) = &filter.idempotency_key {
        let key_is = "AND json_extract(j.spec, '$.idempotency_key') = ?4
             AND json_extract(j.spec, '$.idempotency_key') IS NOT NULL";
        (from("jobs_key", key_is), vec![Value::from(key.clone())])
    } else if let Some(tag) = &filter.tag {
        let sql = format!(
            "SELECT {COLUMNS} FROM job_tags t CROSS JOIN jobs j INDEXED BY jobs_number
             ON j.account = t.account AND j.number = t.number
             WHERE t.account = ?1 AND t.tag = ?4 AND t.number > ?2 AND t.number < ?3"
        );
        (sql, vec![Value::from(tag.clone())])
    } else if let Some(printer) = filter.printer {
        (from("jobs_printer", "AND j.printer = ?4"), vec![uuid(printer.uuid())])
    } else if let Some(agent) = filter.agent {
        (from("jobs_of_agent", "AND j.agent = ?4"), vec![uuid(agent.uuid())])
    } else if filter.states.is_empty() {
        (from("jobs_number", ""), vec![])
    } else {
        // Each state's jobs are in order by themselves, and merged as they are read.
        let mut states: Vec<_> = filter.states.iter().map(|state| state.keyword()).collect();
        states.sort_unstable();
        states.dedup();
        let arms: Vec<_> =
            (4..).zip(&states).map(|(at, _)| from("jobs_state", &format!("AND j.state = ?{at}"))).collect();
        (arms.join(" UNION ALL "), states.into_iter().map(|state| Value::from(state.to_owned())).collect())
    };
    let by = if filter.tag.is_some() && filter.idempotency_key.is_none() { "t.number" } else { "2" };
    let order = match way {
        Way::Older => "DESC",
        Way::Newer => "ASC",
    };
    (format!("{sql} ORDER BY {by} {order}"), values)
}

fn number(at: u64) -> Value {
    Value::from(i64::try_from(at).unwrap_or(i64::MAX))
}

/// The numbers that `before`, `after` and the times leave.
fn between(db: &Connection, account: AccountId, filter: &JobList) -> Result<Between> {
    let mut between = Between { low: filter.after.unwrap_or(0), high: filter.before.unwrap_or(u64::MAX) };
    if let Some(at_ms) = filter.created_from_ms {
        let first = first_created_at(db, account, at_ms)?;
        between.low = between.low.max(first.saturating_sub(OUT_OF_ORDER));
    }
    // What ended before a time was created before it.
    let until = filter.created_to_ms.into_iter().chain(filter.ended_to_ms).min();
    if let Some(at_ms) = until {
        let first = first_created_at(db, account, at_ms)?;
        between.high = between.high.min(first.saturating_add(OUT_OF_ORDER));
    }
    Ok(between)
}

/// The smallest number of a job that was created at this time or later: a binary search, for numbers and times rise together.
fn first_created_at(db: &Connection, account: AccountId, at_ms: u64) -> Result<u64> {
    let last = db
        .prepare_cached("SELECT last_job FROM accounts WHERE id = ?1")?
        .query_row([account.uuid()], |row| row.get::<_, u64>(0))
        .optional()?;
    let mut next = db.prepare_cached(
        "SELECT number, created_ms FROM jobs INDEXED BY jobs_number
         WHERE account = ?1 AND number >= ?2 ORDER BY number LIMIT 1",
    )?;
    let (mut low, mut high) = (0, last.unwrap_or(0) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(u64, u64)> = next
            .query_row(params![account.uuid(), middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((number, created_ms)) if created_ms < at_ms => low = number + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// What the driving index does not say already.
struct Rest<'a> {
    filter: &'a JobList,
    printer: Option<Uuid>,
    agent: Option<Uuid>,
    search: Option<String>,
    /// Whether the JSON column has to be read.
    reads_spec: bool,
}

/// What is looked for in the JSON column.
#[derive(Deserialize)]
struct Named {
    title: String,
    tags: Vec<String>,
}

impl<'a> Rest<'a> {
    fn of(filter: &'a JobList) -> Self {
        let search = filter.search.as_ref().map(|text| text.to_lowercase());
        let tag = filter.tag.is_some() && filter.idempotency_key.is_some();
        Self {
            printer: filter.printer.map(|id| id.uuid()),
            agent: filter.agent.map(|id| id.uuid()),
            reads_spec: tag || search.is_some(),
            search,
            filter,
        }
    }

    fn passes(&self, row: &Row<'_>) -> Result<bool> {
        let filter = self.filter;
        let state = row.get_ref(2)?.as_str()?;
        if !filter.states.is_empty() && !filter.states.iter().any(|wanted| wanted.keyword() == state) {
            return Ok(false);
        }
        let is = |wanted: Option<Uuid>, column| -> Result<bool> {
            Ok(wanted.is_none_or(|id| row.get::<_, Uuid>(column).is_ok_and(|found| found == id)))
        };
        if !is(self.printer, 3)? || !is(self.agent, 4)? {
            return Ok(false);
        }
        let created: u64 = row.get(5)?;
        let ended: Option<u64> = row.get(6)?;
        let within = |at: u64, from: Option<u64>, to: Option<u64>| {
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
        };
        if !within(created, filter.created_from_ms, filter.created_to_ms) {
            return Ok(false);
        }
        let by_end = filter.ended_from_ms.is_some() || filter.ended_to_ms.is_some();
        if by_end && !ended.is_some_and(|at| within(at, filter.ended_from_ms, filter.ended_to_ms)) {
            return Ok(false);
        }
        if !self.reads_spec {
            return Ok(true);
        }
        let spec: Named = map::from_json("spec", row.get_ref(7)?.as_str()?)?;
        let tagged = filter.tag.as_ref().is_none_or(|tag| spec.tags.iter().any(|have| have == tag));
        Ok(tagged && self.search.as_ref().is_none_or(|text| spec.title.to_lowercase().contains(text)))
    }
}

#[cfg(test)]
mod tests {
    use inkwire_protocol::ids::{AgentId, PrinterId};
    use inkwire_protocol::job::State;

    use super::*;

    /// The plan of a query: every line of it.
    fn plan(filter: &JobList) -> Vec<String> {
        let mut db = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&mut db).unwrap();
        let mut lines = Vec::new();
        for way in [Way::Older, Way::Newer] {
            let (sql, mut values) = query(filter, way);
            values.splice(0..0, [Value::from(vec![0; 16]), number(0), number(u64::MAX)]);
            let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let found = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            lines.extend(found.map(|line| line.unwrap()));
        }
        lines
    }

    #[test]
    fn no_filter_scans_or_sorts() {
        let filters = [
            JobList::default(),
            JobList { printer: Some(PrinterId::from_uuid(Uuid::nil())), ..JobList::default() },
            JobList { agent: Some(AgentId::from_uuid(Uuid::nil())), ..JobList::default() },
            JobList { states: vec![State::Uncertain], ..JobList::default() },
            JobList { states: State::ALL.to_vec(), ..JobList::default() },
            JobList { tag: Some("t".into()), ..JobList::default() },
            JobList { idempotency_key: Some("k".into()), ..JobList::default() },
            JobList { search: Some("x".into()), ..JobList::default() },
        ];
        for filter in filters {
            let plan = plan(&filter);
            assert!(plan.iter().any(|line| line.contains("SEARCH j USING INDEX jobs_")), "{plan:?}");
            for line in plan {
                assert!(!line.contains("SCAN") && !line.contains("TEMP B-TREE"), "{filter:?}: {line}");
            }
        }
    }
}
