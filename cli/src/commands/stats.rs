//! `inkwire stats`.

use std::time::SystemTime;

use inkwire_client::protocol::app::{Counts, Stats};

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table};
use crate::words;

/// Show the last 24 hours in numbers, and what waits for a human
///
///   inkwire stats
///   inkwire stats --json | jq .needs_a_human
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let stats = args.connection.open().await?.stats().await?;
    if args.json {
        output::json(&stats)?
    } else {
        show(&stats)?
    }
    Ok(Exit::Done)
}

fn show(stats: &Stats) -> Result<(), Failure> {
    let now = SystemTime::now();
    let mut table =
        Table::new(&["HOUR", "ACCEPTED", "BYTES", "PRINTED", "ABORTED", "CANCELED", "EXPIRED", "UNCERTAIN"]);
    let busy = stats.hours.iter().filter(|hour| hour.counts != Counts::default());
    for hour in busy {
        table.row(row(words::ago(hour.from_ms, now), hour.counts));
    }
    table.row(row("24 hours".to_owned(), stats.total));
    table.print("")?;
    if !stats.printers.is_empty() {
        output::line("")?;
        let mut table = Table::new(&[
            "PRINTER",
            "ACCEPTED",
            "BYTES",
            "PRINTED",
            "ABORTED",
            "CANCELED",
            "EXPIRED",
            "UNCERTAIN",
        ]);
        for printer in &stats.printers {
            table.row(row(printer.name.clone(), printer.counts));
        }
        table.print("")?;
    }
    output::line("")?;
    let waits = &stats.needs_a_human;
    for (what, count) in [
        ("uncertain jobs: `inkwire jobs --state uncertain`", waits.uncertain_jobs),
        ("held jobs: `inkwire jobs --state held`", waits.held_jobs),
        ("jobs whose printer wants a human: `inkwire jobs --state stopped`", waits.stopped_jobs),
        (
            "printers that are stopped or cannot be reached: `inkwire printers`",
            waits.stopped_printers.len() as u64,
        ),
        ("agents gone for longer than usual: `inkwire agents`", waits.missing_agents.len() as u64),
        ("agents kept out as clones: `inkwire agents`", waits.cloned_agents.len() as u64),
    ] {
        if count > 0 {
            output::line(&format!("{count:>6} {what}"))?;
        }
    }
    if *waits == Default::default() {
        output::line("nothing waits for a human")?;
    }
    Ok(())
}

fn row(name: String, counts: Counts) -> [String; 8] {
    let Counts { accepted, bytes, completed, aborted, canceled, expired, uncertain } = counts;
    let [accepted, completed, aborted, canceled, expired, uncertain] =
        [accepted, completed, aborted, canceled, expired, uncertain].map(|count| count.to_string());
    [name, accepted, words::bytes(bytes), completed, aborted, canceled, expired, uncertain]
}
