//! `inkwire jobs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inkwire_client::protocol::app::{Job, JobList};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, EventItem};

use super::{find, watch};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// List the jobs, newest first, or follow them
///
///   inkwire jobs
///   inkwire jobs --state uncertain --state stopped
///   inkwire jobs --printer office --since 24h --search invoice
///   inkwire jobs --watch --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Follow what happens until interrupted: with --json one JSON object a line, each an event
    #[arg(long, short)]
    watch: bool,
    /// Only jobs in this state; several times
    #[arg(long, value_parser = state)]
    state: Vec<State>,
    /// Only jobs of this printer, by name or id
    #[arg(long, value_name = "PRINTER")]
    printer: Option<String>,
    /// Only jobs of this agent, by name or id
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only jobs with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only jobs whose title has this text in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only jobs created in this time: 30m, 24h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Duration>,
    /// Only jobs before this number: the end of the page before
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn state(text: &str) -> Result<State, String> {
    State::from_keyword(text).ok_or_else(|| {
        let all: Vec<_> = State::ALL.iter().map(|state| state.keyword()).collect();
        format!("not a state; the states are {}", all.join(", "))
    })
}

/// `90s`, `30m`, `24h`, `7d`.
fn since(text: &str) -> Result<Duration, String> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        Some(_) | None => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u64>().ok());
    match number.and_then(|number| number.checked_mul(unit)).filter(|_| unit > 0) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("not a time: write a number and s, m, h or d, such as 24h".to_owned()),
    }
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    if args.watch {
        return follow(&client, args.json).await;
    }
    let now = SystemTime::now();
    let from = args.since.map(|since| now.checked_sub(since).unwrap_or(UNIX_EPOCH));
    let from = from.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
    let list = JobList {
        states: args.state,
        printer: match &args.printer {
            Some(name) => Some(find::printer(&client, name).await?.id),
            None => None,
        },
        agent: match &args.agent {
            Some(name) => Some(find::agent(&client, name).await?),
            None => None,
        },
        tag: args.tag,
        search: args.search,
        created_from_ms: from.map(|at| u64::try_from(at).unwrap_or(u64::MAX)),
        before: args.before,
        limit: Some(args.limit),
        ..JobList::default()
    };
    let page = client.jobs(&list).await?;
    if args.json {
        output::json(&page)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["JOB", "STATE", "TITLE", "SIZE", "CREATED", "ID"]);
    for job in &page.jobs {
        table.row([
            job.number.to_string(),
            words::standing(job),
            job.title.clone(),
            words::bytes(job.bytes),
            words::ago(job.created_ms, now),
            job.id.to_string(),
        ]);
    }
    table.print("no jobs: print something with `inkwire print FILE --printer P`")?;
    if let Some(next) = page.next {
        output::note(&format!("there may be more: add --before {next}"));
    }
    Ok(Exit::Done)
}

async fn follow(client: &Client, json: bool) -> Result<Exit, Failure> {
    let mut events = client.events(watch::all_jobs()).await?;
    output::note("following; end with Ctrl-C");
    loop {
        match events.next().await {
            Some(EventItem::Event(event)) if json => output::json_line(&event)?,
            Some(EventItem::Event(event)) => {
                let Some(id) = event.job else { continue };
                let job = client.job(id).await?.job;
                say(&event.kind, &job)?;
            }
            Some(EventItem::Progress(progress)) if json => output::json_line(&progress)?,
            Some(EventItem::Progress(_)) => {}
            Some(EventItem::CannotResume { .. }) => {
                output::note(
                    "some events are gone from the broker's log; `inkwire jobs` shows where all jobs stand",
                );
            }
            Some(EventItem::Ended(error)) => return Err(error.into()),
            None => return Ok(Exit::Done),
        }
    }
}

fn say(kind: &str, job: &Job) -> Result<(), Failure> {
    output::line(&format!("{kind:16} job {}: {} ({})", job.number, words::standing(job), clean(&job.title)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(since("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(since("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "5", "h", "1.5h", "-1h", "3w", "99999999999999999999d", "7\u{e4}"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
