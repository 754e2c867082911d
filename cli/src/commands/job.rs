//! `inkwire job`.

use std::str::FromStr;
use std::time::SystemTime;

use clap::ValueEnum;
use inkwire_client::Client;
use inkwire_client::protocol::app::{JobDetail, JobList, JobReprint};
use inkwire_client::protocol::ids::{IdError, JobId};
use inkwire_client::protocol::job::Decision;

use super::watch;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::progress::Bars;
use crate::words;

/// Show a job with its history, or act on it
///
///   inkwire job 17
///   inkwire job 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e
///   inkwire job 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e --cancel
///   inkwire job 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e --decide printed
///   inkwire job 17 --priority 90
///   inkwire job 17 --reprint
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[group(skip)]
pub(crate) struct Args {
    /// The job's id, or its number in the account as `inkwire jobs` shows it
    job: Named,
    #[command(flatten)]
    action: Action,
    /// Follow it to its end
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Action {
    /// Do not print it; asks the agent where that has it already
    #[arg(long)]
    cancel: bool,
    /// Do not begin it until released
    #[arg(long)]
    hold: bool,
    /// Let it go on
    #[arg(long)]
    release: bool,
    /// Say what became of an uncertain job: it came out, print it again, or leave it
    #[arg(long, value_enum)]
    decide: Option<Word>,
    /// Give it another place in the queue: 1 (lowest) to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    priority: Option<u8>,
    /// Print its document again, as a new job, for as long as the broker keeps it
    #[arg(long)]
    reprint: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    Printed,
    Reprint,
    Drop,
}

/// A job as a person names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    Id(JobId),
    Number(u64),
}

impl FromStr for Named {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self::Number).or_else(|_| text.parse().map(Self::Id))
    }
}

impl Named {
    pub(crate) async fn find(self, client: &Client) -> Result<JobId, Failure> {
        let number = match self {
            Self::Id(id) => return Ok(id),
            Self::Number(number) => number,
        };
        // A page of one, of the jobs below the next number, begins with this one where it exists.
        let list = JobList { before: number.checked_add(1), limit: Some(1), ..JobList::default() };
        let found = client.jobs(&list).await?.jobs.into_iter().find(|job| job.number == number);
        let missing =
            || Failure::new(Exit::Refused, anyhow::anyhow!("there is no job {number} in this account"));
        found.map(|job| job.id).ok_or_else(missing)
    }
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    let mut id = args.job.find(&client).await?;
    let Action { cancel, hold, release, decide, priority, reprint } = args.action;
    if cancel {
        client.cancel(id).await?;
    } else if hold {
        client.hold(id).await?;
    } else if release {
        client.release(id).await?;
    } else if let Some(word) = decide {
        let decision = match word {
            Word::Printed => Decision::Printed,
            Word::Reprint => Decision::Reprint,
            Word::Drop => Decision::Drop,
        };
        client.decide(id, decision).await?;
    } else if let Some(priority) = priority {
        client.set_priority(id, priority).await?;
    } else if reprint {
        let wish = JobReprint { job: id, printer: None, qty: None, hold: false, idempotency_key: None };
        // From here on the new job is the one that is followed and shown.
        id = client.reprint(wish).await?.id;
    }
    let mut exit = Exit::Done;
    if args.watch {
        let bars = Bars::new(!args.json);
        let events = client.events(watch::all_jobs()).await?;
        let job = client.job(id).await?.job;
        exit =
            watch::exit(watch::to_the_end(&client, events, job, (!args.json).then_some(&bars)).await?.state);
        bars.clear();
    }
    let detail = client.job(id).await?;
    if args.json {
        output::json(&detail)?
    } else {
        show(&detail)?
    }
    Ok(exit)
}

fn show(detail: &JobDetail) -> Result<(), Failure> {
    let job = &detail.job;
    let now = SystemTime::now();
    let asked = job.request.map(|request| format!("{request:?}").to_lowercase());
    for (name, value) in [
        ("job", format!("{} ({})", job.number, job.id)),
        ("title", clean(&job.title)),
        ("document", format!("{}, {}", words::bytes(job.bytes), clean(&job.format))),
        ("sha256", job.sha256.map_or_else(|| "-".to_owned(), |digest| digest.to_string())),
        ("printer", format!("{}, number {} of agent {}", job.printer, job.printer_number, job.agent)),
        ("state", words::standing(job)),
        ("priority", job.priority.to_string()),
        ("asked", asked.unwrap_or_else(|| "-".to_owned())),
        ("attempt", job.attempt.to_string()),
        ("received", format!("{} by the agent", words::bytes(job.received_bytes))),
        ("delivered", format!("{} to the printer", words::bytes(job.delivered_bytes))),
    ] {
        output::line(&format!("{name:10} {value}"))?;
    }
    if let Some(earlier) = job.reprint_of {
        output::line(&format!("{:10} {earlier}", "again of"))?;
    }
    for warning in &job.warnings {
        output::line(&format!("{:10} {}", "note", clean(warning)))?;
    }
    output::line("")?;
    let mut table = Table::new(&["WHEN", "WHAT", "MORE"]);
    for event in &detail.history {
        let more = if event.data.is_null() { String::new() } else { event.data.to_string() };
        table.row([words::ago(event.at_ms, now), event.kind.clone(), more]);
    }
    table.print("nothing has happened to it yet")
}
