//! `inkwire jobs`.

use std::time::SystemTime;

use inkwire_client::protocol::app::{Job, JobList};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, EventItem};

use super::watch;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// List the jobs, newest first, or follow them
///
///   inkwire jobs
///   inkwire jobs --state uncertain --state stopped
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

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    if args.watch {
        return follow(&client, args.json).await;
    }
    let list = JobList { states: args.state, limit: Some(args.limit), ..JobList::default() };
    let page = client.jobs(&list).await?;
    if args.json {
        output::json(&page)?;
        return Ok(Exit::Done);
    }
    let now = SystemTime::now();
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
